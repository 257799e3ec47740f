"""The public API, pinned: a name leaves or joins it on purpose only."""

from __future__ import annotations

import subprocess
import sys

import engine

PUBLIC = """
AR1 ByLabel ClusterSpec Component Config Constant Consumer DetectionRule DirichletShares Draws
Empirical ErrorModel Errors Executor FootfallError FromFile Indicator KnownTotals Labels Law MRIO
Method Period Persistent PowerLaw Provenance Quantity Question Run Verdict Yearly attributed changes
characterise check draw findings levels load_config open_run open_table plan_run preview run
run_until status verdicts write_report
"""


def test_the_public_names() -> None:
    assert dir(engine) == sorted(PUBLIC.split())
    for name in engine.__all__:
        thing = getattr(engine, name)
        assert callable(thing), f"{name} is hidden by a module of that name"
        assert thing.__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(engine, "nothing_of_the_kind")


def test_the_example_of_the_documentation_runs_without_a_main_guard(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from configs import SMALL, written

    config = written(tmp_path, SMALL.replace("draws = 448", "draws = 64"))
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import engine

config = engine.load_config({str(config)!r})
table = engine.open_table(config.tables, year=2001)
one = engine.draw(table, config.errors, seed=7, draws=range(64))
run = engine.run(config)
changes = engine.changes(run.open(), consumer="R0")
print(one.footprint.shape)
print(engine.verdicts(changes))
"""
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "(64, 2, 3, 4)" in done.stdout
    assert "R0, S0" in done.stdout
