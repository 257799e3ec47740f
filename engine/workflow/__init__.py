"""The verbs of footfall, from a configuration on: check, plan, preview, run, detect, report.

The command line and `import engine` both speak through these functions.
"""

from __future__ import annotations

from engine.workflow.budgeting import budget_of, budgeted, heading, refuse_one_year
from engine.workflow.checking import check
from engine.workflow.folders import Run, folder_of, open_run, run_folder
from engine.workflow.judging import at_look, overridden, rule_of
from engine.workflow.planning import plan
from engine.workflow.preparing import prepared
from engine.workflow.previewing import preview, previewed
from engine.workflow.reporting import report
from engine.workflow.running import run, run_in
from engine.workflow.submitting import dry_run, submit_run
from engine.workflow.telling import detect, logs, status

__all__ = [
    "Run",
    "at_look",
    "budget_of",
    "budgeted",
    "check",
    "detect",
    "dry_run",
    "folder_of",
    "heading",
    "logs",
    "open_run",
    "overridden",
    "plan",
    "prepared",
    "preview",
    "previewed",
    "refuse_one_year",
    "report",
    "rule_of",
    "run",
    "run_folder",
    "run_in",
    "status",
    "submit_run",
]
