"""The worlds of a study on disk: a line each, and beside them what the study is about."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.config import Config
from engine.errors import DriftError
from engine.jobs import Job, identity
from engine.stores.durable import storing, write_atomically
from engine.stores.identity import canonical, differences
from engine.studies.stage import Record, Stage, Trial
from engine.workflow.reading import Reader

_IDENTITY, _WORLDS = "study.json", "worlds.jsonl"


def described(config: Config, trial: Trial, stage: Stage) -> str:
    """Everything that decides a world and what is said of it, as canonical JSON."""
    hashes = {table.year: table.sha256 for table in stage.tables}
    jobs = [
        Job(
            folder=Path(),
            title=config.title,
            read=Reader(config).read,
            question=trial.question,
            errors=errors,
            sampling=replace(config.sampling, years=trial.years),
            r_max=config.r_max,
            tolerance=config.tolerance,
        )
        for errors in stage.models.values()
    ]
    deciding: dict[str, Any] = {
        "scenarios": {job.errors.name: identity(job, hashes) for job in jobs},
        "truths": sorted(trial.truths),
        "believed": sorted(trial.believed),
        "changes": list(trial.changes),
        "draws": trial.draws,
        "confidence": config.detection.confidence,
        "power": config.detection.power,
    }
    return canonical(deciding)


def resumed(folder: Path, about: str) -> dict[tuple[str, int], Record]:
    """The worlds that were played before; a new folder learns what it is about.

    Raises:
        DriftError: they belong to another study.
    """
    study, lines = folder / _IDENTITY, folder / _WORLDS
    with storing(folder):
        if not study.exists():
            write_atomically(lines, b"")
            write_atomically(study, about.encode())
            return {}
        written = study.read_text(encoding="utf-8")
        if written != about:
            fields = list(differences(json.loads(written), json.loads(about)))
            raise DriftError(
                f"holds another study; {'; '.join(fields[:3])}",
                where=str(folder),
                remedy="give this study a folder of its own (more worlds are welcome)",
            )
        text = lines.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # a kill left half a line
            write_atomically(lines, whole.encode())
    records = [json.loads(line) for line in whole.splitlines()]
    return {(record["truth"], record["world"]): record for record in records}


def append(folder: Path, record: Record) -> None:
    """Add a world that was played."""
    with storing(folder), (folder / _WORLDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, allow_nan=False) + "\n")
