"""None, one, both and all: what the page's sentences say of so many changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_world import World, ensemble

from engine.analysis import changes, verdict_table
from engine.kernels.changes import DetectionRule
from engine.report.naming import Names
from engine.report.rows import Change, as_change
from engine.report.sentences import funnel_caption, matrix_caption

RULE = DetectionRule()


def some() -> Change:
    rows = verdict_table(changes(ensemble(World()), rule=RULE))
    return next(change for change in map(as_change, rows) if change.part == "total")


@pytest.mark.parametrize(
    ("falls", "rises", "nothing", "said"),
    [
        (0, 0, 3, "None of the three changes is found detectable."),
        (1, 0, 2, "Of three changes one is detectable, a decrease."),
        (0, 1, 2, "Of three changes one is detectable, an increase."),
        (2, 0, 1, "Of three changes two are detectable, both decreases."),
        (2, 1, 1, "Of four changes three are detectable: two decreases and one increase."),
        (0, 3, 0, "All three changes are detectable, all increases."),
    ],
)
def test_the_matrix_counts_its_verdicts(falls: int, rises: int, nothing: int, said: str) -> None:
    verdicts = ["decrease"] * falls + ["increase"] * rises + ["not detectable"] * nothing
    told = [replace(some(), verdict=verdict) for verdict in verdicts]
    assert matrix_caption(told, RULE).startswith(f"{said} ")


def test_one_other_scenario_has_one_line() -> None:
    assert "Dotted line: the correlation of the other scenario," in funnel_caption(
        [some()], RULE, others=1
    )
    assert "Dotted" not in funnel_caption([some()], RULE)


def test_names_have_their_article_within_a_sentence() -> None:
    names = Names({"EU27": "European Union", "ROW": "Rest of the World", "CHN": "China"})
    assert [names.within(code) for code in ("EU27", "ROW", "CHN", "NLD")] == [
        "the European Union",
        "the Rest of the World",
        "China",
        "NLD",
    ]
