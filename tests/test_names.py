"""Codes have names on the page; what a run is does not hang on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from configs import SMALL, written
from engine import workflow
from engine.cli import main
from engine.clusters import ClusterSpec, Executor
from engine.config import load_config, load_names
from engine.errors import ConfigError, TableError

SERIAL = ClusterSpec(Executor.SERIAL)
NAMED = '[names]\nR0 = "Northland"\npair = "Both lands"\n'
QUICK = SMALL.replace("draws = 448", "draws = 64")


def named(folder: Path, section: str = NAMED) -> Path:
    return written(folder, QUICK + "\n" + section)


def test_names_of_the_section_come_before_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text('code,name\nR0,North\nR1,"South, the"\n')
    path = named(tmp_path, '[names]\nfile = "all.csv"\nR0 = "Northland"\n')
    expected = {"R0": "Northland", "R1": "South, the"}
    assert load_config(path).names == load_names(path) == expected
    alone = tmp_path / "names.toml"
    alone.write_text(NAMED)
    assert load_names(alone) == {"R0": "Northland", "pair": "Both lands"}


@pytest.mark.parametrize(
    ("section", "listed", "message"),
    [
        ('[names]\nR0 = " "\n', "", "a name is empty"),
        ('[names]\nfile = "all.csv"\n', "code,name\nR0,a\nR0,b\n", "R0 is repeated"),
        ('[names]\nfile = "all.csv"\n', "code,name\nR0,\n", "a code or a name is empty"),
        ('[names]\nfile = "all.csv"\n', "code,title\nR0,a\n", "name"),
        ("[names]\nR0 = 1\n", "", "string"),
    ],
)
def test_names_that_cannot_be_used_are_refused(
    tmp_path: Path, section: str, listed: str, message: str
) -> None:
    (tmp_path / "all.csv").write_text(listed)
    with pytest.raises((ConfigError, TableError), match=message):
        load_config(named(tmp_path, section))


def test_a_file_without_names_is_refused(tmp_path: Path) -> None:
    for text in ("", "names = 3\n", "[names]\nR0 = 1\n"):
        path = written(tmp_path, text)
        with pytest.raises(ConfigError, match=r"no table `\[names\]`"):
            load_names(path)


def test_a_run_remembers_its_names_and_takes_others_when_it_is_made(tmp_path: Path) -> None:
    """The same draws under another name: names are no part of a run."""
    folder = tmp_path / "run"
    run = workflow.run(load_config(written(tmp_path, QUICK)), folder, cluster=SERIAL)
    digest = run.open().attrs["digest"]
    before = json.loads((folder / "run.json").read_text())
    assert before.pop("names") == {}
    (folder / "run.json").write_text(json.dumps(before))  # as runs were before there were names
    page = workflow.report(workflow.open_run(folder), folder=tmp_path / "codes")
    assert "Northland" not in page.read_text()

    names = tmp_path / "names.toml"
    names.write_text(NAMED)
    asked = ("report", str(folder), "--names", str(names), "--output", str(tmp_path / "later"))
    assert CliRunner().invoke(main, list(asked)).exit_code == 0
    told = (tmp_path / "later" / "report.html").read_text()
    assert "Northland (R0), S0, 2000–2002" in told
    assert "Northland" not in (tmp_path / "later" / "verdicts.csv").read_text()

    again = workflow.run(load_config(named(tmp_path)), folder, cluster=SERIAL)
    assert again.open().attrs["digest"] == digest
    assert workflow.open_run(folder).record.names["pair"] == "Both lands"
    assert "Both lands (pair), S0" in workflow.report(again).read_text()
