"""The page says what the numbers say, looks the same every time, and trusts no label."""

from __future__ import annotations

import csv
import dataclasses
import doctest
import json
import math
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_world import World, ensemble, subject

from engine.analysis import Target, target_table, verdict_table
from engine.errors import StoreError
from engine.kernels.changes import DetectionRule, Verdict, sigma_of_rho
from engine.mrio import called
from engine.report import (
    Assumption,
    Other,
    assumed,
    naming,
    numbers,
    page,
    sentences,
    words,
    write,
)
from engine.report.figures import canvas, funnel, labels
from engine.report.figures.matrix import PAINTS
from engine.report.rows import Change, Level, as_change
from engine.report.sections import sections

HOSTILE = "<script>alert(1)</script>\" onload='x' & $\\frac{1}{0}$ ${7*7} {{7*7}} --> ]]>"
DECADE = World(
    years=tuple(range(2000, 2012)),
    path=tuple(190 * 0.985**t * (1 + 0.02 * (-1) ** t) for t in range(12)),
    draws=512,
)
CASES = {
    "usual": World(),
    "one pair": World(years=(2000, 2001), path=(180.0, 190.0)),
    "one year": World(years=(2000,), path=(180.0,)),
    "years apart": World(years=(1995, 2000, 2010), path=(180.0, 198.0, 160.0)),
    "many years": DECADE,
    "two of each": World(consumers=("NLD", "EU27_2007"), stressors=("CO2", "CH4"), draws=256),
    "total only": World(parts=("total",)),
    "no change": World(path=(180.0,) * 6),
    "all not assessed": World(rho=1.0),
    "no errors at all": World(s=0.0),
    "raw scale": World(shift=180.0, s=0.1),
    "some rejected": World(rejected=0.1),
    "all rejected in a year": World(rejected=1.0),
    "few draws": World(draws=64),
    "opposed errors": World(rho=-0.6),
    "very skewed": World(s=0.6, rho=0.5, method="coefficients"),
    "real": World(synthetic=False),
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of every case, written once."""
    return {
        name: write(subject(world), tmp_path_factory.mktemp("report"))
        for name, world in CASES.items()
    }


# --- reading a page -------------------------------------------------------------------------------

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """What a browser would find: tags with their attributes, and the text it would show."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def figures(path: Path) -> list[str]:
    return re.findall(r"<figure>.*?</figure>", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def verdicts(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path.parent / "verdicts.json").read_text(encoding="utf-8"))
    return found


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def total(path: Path, first: int, last: int) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        row
        for row in verdicts(path)["changes"]
        if (row["from_year"], row["to_year"], row["part"]) == (first, last, "total")
    ]
    assert len(found) == 1
    return found[0]


def digits(text: str) -> list[float]:
    """The numbers of a text, with real minus signs and narrow spaces between thousands."""
    plain = text.replace(numbers.MINUS, "-").replace(numbers.THIN, "").replace("–", " ")
    return [float(found) for found in re.findall(r"[+-]?\d+(?:\.\d+)?", plain)]


# --- what every page must be ----------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_every_case_makes_a_whole_page_without_gaps(pages: dict[str, Path], name: str) -> None:
    read = Page(pages[name])
    assert not re.search(r"\b(nan|NaN|inf|Undefined)\b|\bNone\b(?! of)", read.words)
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r"url\(#([^)\"]+)\)", pages[name].read_text(encoding="utf-8"))
    used += [a["href"][1:] for _, a in read.tags if a.get("href", "").startswith("#")]
    assert used
    assert set(used) <= set(ids)


@pytest.mark.parametrize("name", CASES)
def test_no_page_runs_or_fetches_anything(pages: dict[str, Path], name: str) -> None:
    read, text = Page(pages[name]), pages[name].read_text(encoding="utf-8")
    assert not {"script", "link", "img", "iframe", "object", "embed"} & {t for t, _ in read.tags}
    assert "://" not in text
    assert "@import" not in text
    policy = [a["content"] for a in read.all("meta") if "http-equiv" in a]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
        target = attributes.get("href", "#")
        assert target.startswith("#") or (pages[name].parent / target).is_file()


@pytest.mark.parametrize("name", CASES)
def test_no_page_says_more_than_the_error_model_allows(pages: dict[str, Path], name: str) -> None:
    said = Page(pages[name]).words.lower() + unescape(pages[name].read_text(encoding="utf-8"))
    assert not re.search(r"significan|\bprove[sdn]?\b|cannot be seen|no doubt|certainly", said)
    assert not re.search(r"probability of (a true (rise|fall) )?[<>]?\s*(100|0)\s*%", said)
    cells = re.findall(r"<td>([<>&lgt;\s\xa0]*[\d.]+)\xa0%</td>", said)
    assert not {"100", "0"} & {cell.strip() for cell in cells}


@pytest.mark.parametrize("name", CASES)
def test_every_figure_has_tolddata_and_the_name_of_its_tables(
    pages: dict[str, Path], name: str
) -> None:
    path = pages[name]
    data = json.loads((path.parent / "verdicts.json").read_text(encoding="utf-8"))["data"]
    drawn = figures(path)
    assert drawn
    assert len(drawn) == path.read_text(encoding="utf-8").count("<svg")
    for figure in drawn:
        (svg,) = re.findall(r"<svg[^>]*>", figure)
        assert 'role="img"' in svg
        (alt,) = re.findall(r'aria-label="([^"]{40,})"', svg)
        assert data in unescape(alt)
        assert data in unescape(re.sub(r"<[^>]*>", "", figure.split("<figcaption>")[0]))
        caption = figure.split("<figcaption>")[1]
        assert len(re.sub(r"<[^>]*>", "", caption)) > 60
        links = re.findall(r'href="([^"]+\.csv)"', caption)
        assert links
        for link in links:
            rows = table(path.parent / link)
            assert rows
            assert {row["data"] for row in rows} == {data}


def test_figures_are_drawn_for_what_there_is(pages: dict[str, Path]) -> None:
    assert len(figures(pages["usual"])) == 3
    assert len(figures(pages["two of each"])) == 12
    assert len(figures(pages["total only"])) == 3
    assert len(figures(pages["one year"])) == 1
    assert len(figures(pages["no errors at all"])) == 2  # nothing hangs on a correlation


def test_a_page_of_many_chapters_stays_of_reasonable_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: dict[str, Path]
) -> None:
    monkeypatch.setattr(page, "_ILLUSTRATED", 1)
    path = write(subject(CASES["two of each"]), tmp_path)
    assert len(figures(path)) == 3
    assert Page(path).words.count("this one has its tables") == 3
    assert path.stat().st_size < pages["two of each"].stat().st_size / 2
    assert pages["many years"].stat().st_size < 500_000


def test_the_same_subject_gives_the_same_bytes(tmp_path: Path) -> None:
    world = World(consumers=("NLD", "BEL"), draws=128)
    once, again = (write(subject(world), tmp_path / name).parent for name in ("a", "b"))
    written = sorted(file.relative_to(once) for file in once.rglob("*") if file.is_file())
    assert len(written) == 3 + 2 * 5
    assert written == sorted(f.relative_to(again) for f in again.rglob("*") if f.is_file())
    for file in written:
        assert (once / file).read_bytes() == (again / file).read_bytes()


def test_made_up_tables_are_called_so_everywhere_and_real_ones_nowhere(
    pages: dict[str, Path],
) -> None:
    made_up, real = Page(pages["usual"]), Page(pages["real"])
    headline = re.findall(
        r'<div class="headline.*?</div>', pages["usual"].read_text(encoding="utf-8"), re.DOTALL
    )
    assert all("Synthetic" in one and "Under the stated error model" in one for one in headline)
    assert all("SYNTHETIC" in figure for figure in figures(pages["usual"]))
    assert verdicts(pages["usual"])["synthetic"] is True
    assert "Nothing on it is a result" in made_up.words
    assert "synthetic" not in pages["real"].read_text(encoding="utf-8").lower()
    assert verdicts(pages["real"])["synthetic"] is False
    assert "Sea of Tables release 3" in real.words


def test_what_years_have_in_common_is_said_once_in_a_caption() -> None:
    notes = "GHG: DF_MAIN.csv; ROW taken as emitting nothing"
    years = [(f"ICIO, {year}_SML.csv; {notes}", "2025 edition") for year in (2021, 2022)]
    named = "ICIO, 2021_SML.csv 2025 edition; ICIO, 2022_SML.csv 2025 edition"
    assert called(years) == f"{named}; {notes}"


@pytest.mark.parametrize("source", ["toy", "SYNTHETIC: toy"])
def test_a_made_up_source_is_marked_once(source: str) -> None:
    assert subject(World(source=source, draws=64)).data == "SYNTHETIC: toy release 3"


def test_labels_are_text_wherever_they_show(tmp_path: Path) -> None:
    world = World(consumers=(HOSTILE, "../../etc"), stressors=(HOSTILE,), source=HOSTILE, draws=128)
    made = subject(world, reproduce={HOSTILE: HOSTILE, "Configuration": f"{HOSTILE}\n{HOSTILE}"})
    row = dataclasses.replace(made.assumptions[0], quantity=HOSTILE, source=HOSTILE)
    hostile = dataclasses.replace(
        made,
        title=HOSTILE,
        scenario=HOSTILE,
        other_scenarios=(Other(HOSTILE, (row,)),),
        assumptions=(row,),
        indicators=({"name": HOSTILE, "unit": HOSTILE, "weights": HOSTILE, "source": HOSTILE},),
    )
    path = write(hostile, tmp_path / "out")
    read = Page(path)
    assert not read.all("script")
    assert not [a for _, a in read.tags if any(name.startswith("on") for name in a)]
    assert " ".join(HOSTILE.split()) in read.words
    assert "49" not in re.findall(r"\$\{\d+\}|\b49\b", read.words)
    written = {file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob("*")}
    assert written == {"out"}
    names = [file.name for file in (tmp_path / "out" / "report-data").iterdir()]
    assert len(names) == 10
    assert all(re.fullmatch(r"[a-z0-9-]+\.csv", name) for name in names)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "report-data").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        write(subject(World(draws=64)), tmp_path)
    assert caught.value.where == str(tmp_path)


# --- the sentences say what the JSON says ---------------------------------------------------------


def test_the_headline_is_on_the_page_and_in_the_json(pages: dict[str, Path]) -> None:
    for path in pages.values():
        for headline in verdicts(path)["headlines"]:
            assert " ".join(headline.split()) in Page(path).words


def test_every_number_of_the_headline_is_a_rounded_number_of_the_json(
    pages: dict[str, Path],
) -> None:
    path = pages["usual"]
    whole = total(path, 2000, 2005)
    yearly = [total(path, year, year + 1) for year in range(2000, 2005)]
    assert whole["verdict"] == "not detectable"
    assert [row["verdict"] for row in yearly].count("increase") == 1
    decimals = 1  # sigma is between 0.95 and 9.5 %
    falls, rises = (
        [abs(row[f"mdc_{word}_percent"]) for row in yearly] for word in ("decrease", "increase")
    )
    middle = float(np.median(falls + rises))
    assert all(abs(size / middle - 1) < 0.1 for size in falls + rises)  # so one number is told
    expected = [
        *(2000, 2005),
        round(100 * whole["relative_change"], decimals),
        95,
        round(100 * whole["relative_low"], decimals),
        round(100 * whole["relative_high"], decimals),
        round(100 * (1 - whole["p_decrease"])),
        2003,
        round(middle, 1),
    ]
    (headline,) = verdicts(path)["headlines"]
    assert digits(headline.removeprefix("NLD, CO2")) == expected
    assert "Of five yearly changes one is detectable (rise: 2003)" in headline
    assert headline.endswith("would be missed in one year out of five.")


def test_tables_and_matrix_show_the_numbers_of_the_json(pages: dict[str, Path]) -> None:
    read = Page(pages["many years"]).words
    svg = next(
        figure for figure in figures(pages["many years"]) if "Verdict on the change" in figure
    )
    for row in verdicts(pages["many years"])["changes"]:
        if row["part"] != "total":
            continue
        change = as_change(row)
        shown = words.estimate(change).value
        assert digits(shown) == [
            round(100 * row["relative_change"], numbers.places(100 * row["sigma"]))
        ]
        assert f">{shown}<" in svg
        if row["from_year"] == 2000 or row["to_year"] == row["from_year"] + 1:
            line = f"{words.years(change)}{shown}"
            assert line in read.replace(" ", "")
    assert read.count("decrease") > 5


def test_the_csv_holds_the_rows_of_the_json(pages: dict[str, Path]) -> None:
    path = pages["some rejected"]
    rows = table(path.parent / "verdicts.csv")
    for row, same in zip(rows, verdicts(path)["changes"], strict=True):
        assert row["verdict"] == same["verdict"]
        assert float(row["sigma"]) == same["sigma"]
        assert int(row["from_year"]) == same["from_year"]


def a_change(**known: Any) -> Change:
    """A change of which only what matters to a sentence is stated."""
    floats = {f.name: 0.01 for f in dataclasses.fields(Change) if f.type == "float"}
    plain: dict[str, Any] = {
        "stressor": "CO2",
        "unit": "Mt",
        "consumer": "NLD",
        "part": "total",
        "from_year": 2000,
        "to_year": 2001,
        "scale": "log",
        "verdict": "not detectable",
        "asymmetric": False,
        "draws": 1000,
        "acceptance": 1.0,
    }
    return Change(**{**floats, **plain, **known})


RULE = DetectionRule()


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("decrease", "the footprint fell by 5.0 %"),
        ("not detectable", "the estimated footprint fell by 5.0 %"),
        ("not detectable", "which is not detectable; probability of a true fall 96 %"),
        ("borderline", "treated as not detectable"),
        ("needs more draws", "more draws are needed"),
        ("not assessed", "not assessed: the error model allows it no error"),
    ],
)
def test_each_verdict_has_its_words(verdict: str, said: str) -> None:
    change = a_change(
        verdict=verdict, relative_change=-0.05, reference_change=-9.0, p_decrease=0.96, sigma=0.02
    )
    assert said in str(sentences.headline(change, [change], RULE)).replace(numbers.NBSP, " ")


@pytest.mark.parametrize(
    ("draws", "said"), [(0, "no draws were accepted"), (1, "one draw only was accepted")]
)
def test_too_few_draws_are_counted(draws: int, said: str) -> None:
    change = a_change(verdict="not assessed", draws=draws)
    assert said in str(sentences.headline(change, [change], DetectionRule()))


def test_what_is_never_detectable_says_why() -> None:
    """|delta| < z |s1 - s2|: also a change larger than the errors' difference may be hidden."""
    said = sentences.break_even(a_change(rho_break_even=1.2, verdict="not detectable"))
    assert (
        said == "never: errors that differ so in size would hide it even if they correlated fully"
    )


def test_intervals_count_rejected_draws_where_there_are_some(pages: dict[str, Path]) -> None:
    for name, path in pages.items():
        said = "rejected draws are counted beyond either end" in path.read_text()
        some = any(row["acceptance"] < 1 for row in verdicts(path)["changes"])
        assert said == some, name


def test_every_verdict_has_a_paint_and_a_meaning() -> None:
    assert set(PAINTS) == {str(verdict) for verdict in Verdict}
    reached = {"decrease", "increase", "not detectable"}
    assert {verdict for verdict, paint in PAINTS.items() if paint.hatch} == set(PAINTS) - reached


@given(
    st.floats(-0.9, 5).filter(lambda x: abs(x) > 1e-6),
    st.floats(1e-4, 3),
    st.integers(64, 10**5),
    st.sampled_from(["decrease", "increase", "not detectable", "needs more draws", "borderline"]),
    st.data(),
)
def test_a_headline_rounds_and_never_overstates(
    relative: float, sigma: float, draws: int, verdict: str, data: st.DataObject
) -> None:
    counted = data.draw(st.integers(0, draws))
    change = a_change(
        verdict=verdict,
        relative_change=relative,
        reference_change=relative,
        relative_low=math.expm1(math.log1p(relative) - 2 * sigma),
        relative_high=math.expm1(math.log1p(relative) + 2 * sigma),
        sigma=sigma,
        p_decrease=counted / draws,
        draws=draws,
    )
    text = str(sentences.headline(change, [], RULE)).removeprefix("NLD, CO2")
    decimals = numbers.places(100 * sigma)
    _, _, size, level, low, high, p = digits(text)
    assert (size, level) == (round(abs(100 * relative), decimals), 95)
    of_ends = min(decimals, 0)  # their Monte Carlo standard error is 1 %
    assert low == round(100 * change.relative_low, of_ends)
    assert high == round(100 * change.relative_high, of_ends)
    assert 0 < p < 100
    assert "100" + numbers.NBSP not in text.rpartition("probability")[2]


@pytest.mark.parametrize(
    ("falls", "rises", "said"),
    [
        ((2.8, 2.9, 2.86), (2.9, 3.0, 2.96), "change of about 2.9 %"),
        ((2.9,), (2.9,), "change of 2.9 %"),
        ((4.5, 4.7), (5.5, 5.9), "fall of about 4.6 % or rise of about 5.7 %"),
        ((2.0, 2.9), (2.1, 3.0), "fall of 2.0 to 2.9 % or rise of 2.1 to 3.0 %"),
    ],
)
def test_sizes_within_a_tenth_of_their_median_are_told_as_one(
    falls: tuple[float, ...], rises: tuple[float, ...], said: str
) -> None:
    years = [
        a_change(mdc_decrease_percent=fall, mdc_increase_percent=rise)
        for fall, rise in zip(falls, rises, strict=True)
    ]
    text = str(sentences.headline(years[0], years, RULE)).replace(numbers.NBSP, " ")
    depending = ", depending on the year," if "to" in said else ""
    assert f"{said}{depending} would be missed" in text


@pytest.mark.parametrize(
    ("found", "open_", "said"),
    [
        (5, 0, "All five yearly changes are detectable (rise: 2001, 2002, 2003, 2004, 2005)."),
        (0, 0, "None of the five yearly changes is detectable."),
        (0, 1, "None of the five yearly changes is detectable, and one needs more draws (2001)."),
        (1, 0, "Of five yearly changes one is detectable (rise: 2001)."),
        (2, 3, "two are detectable (rise: 2001, 2002), and three need more draws (2003, 2004"),
    ],
)
def test_detectable_changes_are_counted_in_plain_words(found: int, open_: int, said: str) -> None:
    kinds = ["increase"] * found + ["needs more draws"] * open_
    kinds += ["not detectable"] * (5 - len(kinds))
    years = [
        a_change(from_year=2000 + i, to_year=2001 + i, verdict=kind) for i, kind in enumerate(kinds)
    ]
    assert said in str(sentences.headline(years[0], years, RULE))


# --- numbers --------------------------------------------------------------------------------------


def test_the_examples_of_the_docstrings() -> None:
    for module in (numbers, words, labels, naming, assumed):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0


@given(st.integers(1, 10**6), st.data())
def test_a_probability_is_never_printed_as_none_or_certain(draws: int, data: st.DataObject) -> None:
    counted = data.draw(st.integers(0, draws) | st.sampled_from([0, 1, draws - 1, draws]))
    shown = numbers.probability(counted / draws, draws)
    assert shown.endswith(f"{numbers.NBSP}%")
    (value,) = digits(shown)
    assert 0 < value < 100
    if shown[0] == ">":
        assert 100 * counted / draws >= value
    elif shown[0] == "<":
        assert 100 * counted / draws <= value
    else:
        assert abs(value - 100 * counted / draws) <= 0.5 + 1e-9


@given(st.integers(20, 10**6), st.sampled_from([0.025, 0.05, 0.95]), st.data())
def test_rounding_does_not_hide_on_which_side_of_its_limit_a_probability_lies(
    draws: int, limit: float, data: st.DataObject
) -> None:
    """As far as the draws tell: where their standard error is below one per cent."""
    near = min(limit, 1 - limit)
    p = data.draw(st.floats(near - 0.0099, near + 0.0099))
    (value,) = digits(numbers.probability(p, draws, limit))
    assert abs(value - 100 * p) <= (0.05 if math.sqrt(p * (1 - p) / draws) < 0.01 else 0.5) + 1e-9
    (coarse,) = digits(numbers.probability(near + 0.02, draws, limit))
    assert coarse == round(coarse)


@given(st.integers(-3, 5), st.floats(1e-9, 1e6))
def test_no_digit_is_printed_below_the_first_of_its_monte_carlo_error(
    decimals: int, error: float
) -> None:
    shown = numbers.supported(decimals, error)
    assert shown <= decimals
    assert shown == decimals or float(f"{error:.1e}") < 10 * 10.0**-shown


@given(st.floats(1e-12, 1e12), st.floats(-1e12, 1e12))
def test_uncertainties_have_two_digits_and_estimates_the_same_decimal(
    u: float, value: float
) -> None:
    decimals = numbers.places(u)
    assert digits(numbers.two_digits(u)) == [pytest.approx(float(f"{u:.1e}"), rel=1e-9)]
    (shown,) = digits(numbers.number(value, decimals))
    assert shown == round(value, decimals)
    assert numbers.number(value, decimals, sign=True)[0] != "-"


@given(st.floats(-1, 1))
def test_a_correlation_below_one_never_rounds_up_to_it(
    rho: float,
) -> None:
    (shown,) = digits(numbers.correlation(rho))
    assert abs(shown - rho) <= 0.005 + 1e-12
    assert (abs(shown) < 1) == (abs(rho) < 1)


# --- what the page explains -----------------------------------------------------------------------


def a_level(**known: Any) -> Level:
    floats = {f.name: 100.0 for f in dataclasses.fields(Level) if f.type == "float"}
    plain = {"stressor": "CO2", "unit": "Mt", "consumer": "NLD", "part": "total", "year": 2000}
    small = {"mean_mcse": 0.01, "median_mcse": 0.01, "sd": 5.0, "draws": 1000}
    return Level(**{**floats, **plain, **small, **known})


def test_a_gap_is_explained_where_it_can_be_seen_and_only_there() -> None:
    level, seen = a_level(), a_level(year=2001, mean=103.0, median=102.0)
    assert sentences.gap([level]) is None
    assert sentences.gap([a_level(mean=100.4)]) is None  # below a tenth of the uncertainty
    assert sentences.gap([a_level(mean=103.0, mean_mcse=1.1)]) is None  # draws' own scatter
    assert sentences.gap([level, seen]) is seen
    text = sentences.gap_explained(seen, "coefficients")
    assert digits(text)[:4] == [2001, 100, 103, 102]
    assert "amplified along supply chains" in text
    assert "skewed upwards" in text
    assert "amplified" not in sentences.gap_explained(a_level(median=97.0), "coefficients")


def test_what_was_rejected_is_counted_and_bounds_the_probability(pages: dict[str, Path]) -> None:
    path = pages["some rejected"]
    read = Page(path).words
    lost = round(0.1 * World().draws)
    assert f"{lost} of" in read
    row = total(path, 2004, 2005)
    low, high = (round(100 * row[f"p_decrease_{end}"]) for end in ("low", "high"))
    assert f"P(fall) from {low} % to {high} %" in read
    assert high - low == 10
    assert "All were accepted" in Page(pages["usual"]).words


def test_the_raw_scale_is_said_once(pages: dict[str, Path]) -> None:
    read = Page(pages["raw scale"]).words
    assert 1 <= read.count("judged on the raw difference") <= 3
    assert "judged on the raw difference" not in Page(pages["usual"]).words
    headline = verdicts(pages["raw scale"])["headlines"][0]
    assert "Mt" in headline


def test_what_more_draws_could_decide_is_listed(pages: dict[str, Path]) -> None:
    path = pages["few draws"]
    waiting = [row for row in verdicts(path)["changes"] if row["verdict"] == "needs more draws"]
    assert waiting
    assert f"More draws could decide {len(waiting)} of {len(verdicts(path)['changes'])}" in (
        Page(path).words
    )
    assert "No verdict waits for more draws" in Page(pages["all not assessed"]).words


def test_the_page_says_what_it_leaves_out_and_what_it_rests_on(pages: dict[str, Path]) -> None:
    read = Page(pages["usual"]).words
    for name, meaning in page.NOT_IN_THE_INTERVALS:
        assert f"{name}: {meaning}." in read
    assert "recalled, not verified" in read
    assert "footfall run configs/toy.toml" in read
    assert "negative cells of Y, sign kept".capitalize()[:8] in read
    assert verdicts(pages["usual"])["digest"] == "ab12" * 8


def test_words_are_explained_once_for_the_page(pages: dict[str, Path]) -> None:
    read = Page(pages["two of each"]).words
    for said in ("a state of knowledge, not a p-value", "their mirror images", "Break-even: the"):
        assert read.count(said) == 1
    met = {row["verdict"] for row in verdicts(pages["two of each"])["changes"]}
    for verdict in Verdict:
        assert (
            f'id="read-{str(verdict).replace(" ", "-")}"'
            in pages["two of each"].read_text(encoding="utf-8")
        ) == (str(verdict) in met)


def test_what_needs_more_draws_is_explained_on_the_first_screen(pages: dict[str, Path]) -> None:
    for path in pages.values():
        first = path.read_text(encoding="utf-8").split('<nav aria-label="Contents">')[0]
        told = [h for h in verdicts(path)["headlines"] if "more draws" in h]
        assert ("for so many draws to tell on which side" in first) == bool(told)


def test_codes_have_their_names_on_the_page_and_stay_codes_in_the_files(tmp_path: Path) -> None:
    made = subject(
        World(consumers=("NLD", "BEL"), draws=128), names={"NLD": "Netherlands", "CO2": "carbon"}
    )
    path = write(made, tmp_path)
    read = Page(path)
    first, second = verdicts(path)["headlines"]
    assert first.startswith("Netherlands (NLD), carbon, 2000–2005: ")
    assert second.startswith("BEL, carbon, 2000–2005: ")
    assert "Netherlands, carbon" in read.words
    assert all("NLD" not in a["aria-label"] for a in read.all("svg"))
    assert {row["consumer"] for row in verdicts(path)["changes"]} == {"NLD", "BEL"}
    for file in (tmp_path / "report-data").glob("*.csv"):
        assert not {"Netherlands", "carbon"} & set(file.read_text(encoding="utf-8").split(","))
        assert file.name.startswith(("01-nld-co2", "02-bel-co2"))


def test_other_scenarios_are_told_by_what_differs(tmp_path: Path) -> None:
    made = subject(World(draws=64))
    same, other = made.assumptions
    changed = dataclasses.replace(other, size="from 10 to 400 %", source="assumption: twice")
    shared = dataclasses.replace(same, correlation="70 % cell, lasting; 30 % cell, yearly")
    more = Assumption("Y, final demand", "rsd 3 %", "cell", "assumption")
    told = assumed.assumed(
        dataclasses.replace(
            made,
            assumptions=(
                dataclasses.replace(same, correlation="70 % cell, lasting; 30 % x"),
                other,
            ),
            other_scenarios=(
                Other("as_it_is", made.assumptions[1:]),
                Other("bold_one", (shared, changed, more), "../report-bold_one/report.html"),
            ),
        ),
        naming.Names(),
    )
    missing, bold = told.others
    assert [(line.quantity, line.size) for line in missing.lines] == [
        (same.quantity, "not in this scenario")
    ]
    assert bold.name == "bold one"
    assert [(line.size, line.correlation) for line in bold.lines] == [
        ("as here", "30 % cell, yearly"),
        ("from 10 to 400 %", "as here"),
        ("rsd 3 %", "cell"),
    ]
    assert [told.sources[line.source - 1] for line in bold.lines] == [
        "assumption", "assumption: twice", "assumption",
    ]  # fmt: skip
    assert len(set(told.sources)) == len(told.sources) == 3


# --- figures --------------------------------------------------------------------------------------


def test_the_curves_meet_each_change_at_its_break_even(pages: dict[str, Path]) -> None:
    """They are drawn through so many correlations that between two they are straight."""
    curves = verdicts(pages["usual"])["correlation_curves"]
    rho = funnel.stretched(np.array([row["rho"] for row in curves]))
    for first in range(2000, 2005):
        change = as_change(total(pages["usual"], first, first + 1))
        for name, where, expected in (
            ("detection_limit", change.rho_break_even, abs(change.reference_delta)),
            ("mdc_decrease", change.rho, change.mdc_decrease),
            ("mdc_increase", change.rho, change.mdc_increase),
        ):
            ends = [[row[f"{name}_{end}"] for row in curves] for end in ("lowest", "highest")]
            low, high = (np.interp(funnel.stretched(where), rho, end) for end in ends)
            assert low * (1 - 1e-3) <= expected <= high * (1 + 1e-3), (name, first)


def test_the_stretched_axis_makes_the_limits_straight() -> None:
    rho = np.array([-0.5, 0.0, 0.5, 0.9, 0.99, 1.0])
    s = np.full(6, 0.05)
    straight = 0.05 * np.sqrt(2) * (1 - funnel.stretched(rho))
    np.testing.assert_allclose(sigma_of_rho(s, s, rho), straight, atol=1e-12)


def test_curves_over_pairs_keep_the_error_of_the_pair_they_show() -> None:
    value, mcse = np.array([[3.0, 1.0, 2.0]]), np.array([[0.3, 0.1, 0.2]])
    odd = funnel.curves(np.array([0.5]), (value, mcse), (value, mcse), (value, mcse)).limit
    assert odd.value[:, 0].tolist() == [2.0, 1.0, 3.0]
    assert odd.mcse[:, 0].tolist() == [0.2, 0.1, 0.3]
    value, mcse = value[:, :2], mcse[:, :2]
    even = funnel.curves(np.array([0.5]), (value, mcse), (value, mcse), (value, mcse)).fall
    assert even.value[:, 0].tolist() == [2.0, 1.0, 3.0]
    assert even.mcse[:, 0] == pytest.approx([0.2, 0.1, 0.3])


@given(
    st.lists(st.tuples(st.floats(-100, 100), st.floats(0.01, 10)), min_size=1, max_size=12),
    st.floats(-50, 50),
)
def test_labels_of_any_size_stay_apart_and_within_their_bounds(
    wanted: list[tuple[float, float]], low: float
) -> None:
    places, sizes = ([one[i] for one in wanted] for i in (0, 1))
    high = low + sum(sizes) + 5.0
    placed = labels.spread(places, sizes, low, high)
    order = sorted(range(len(places)), key=lambda i: places[i])
    for a, b in pairwise(order):
        assert placed[b] - placed[a] >= (sizes[a] + sizes[b]) / 2 - 1e-9
    assert low - 1e-9 <= placed[order[0]]
    assert placed[order[-1]] <= high + 1e-9


@given(st.text("abc de", min_size=1, max_size=60), st.floats(0.5, 3.0))
def test_names_are_cut_and_wrapped_to_their_room(name: str, room: float) -> None:
    lines = labels.wrapped(name, room, 8.0)
    assert 1 <= len(lines) <= 2
    assert all(labels.width(line, 8.0) <= room + 1e-9 for line in lines)
    if labels.width(name, 8.0) <= room:
        assert lines == [name]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20), st.floats(0.01, 10))
def test_labels_move_apart_keep_their_order_and_no_more(wanted: list[float], gap: float) -> None:
    placed = labels.spread(wanted, gap)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    steps = np.diff([placed[i] for i in order])
    assert (steps >= gap - 1e-9).all()
    assert np.mean(placed) == pytest.approx(np.mean(wanted), abs=1e-9)
    assert labels.spread(placed, gap) == pytest.approx(placed, abs=1e-9)


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        (canvas.PAPER, canvas.FALL),
        (canvas.PAPER, canvas.RISE),
        (canvas.INK, canvas.PALE),
        (canvas.MUTED, canvas.PAPER),
        (canvas.MUTED, funnel._NOISE),
        (canvas.FALL, canvas.PAPER),
        (canvas.RISE, canvas.PAPER),
    ],
)
def test_text_stands_out_from_its_ground(text: str, ground: str) -> None:
    low, high = sorted(luminance(colour) for colour in (text, ground))
    assert (high + 0.05) / (low + 0.05) >= 4.5  # level AA


# --- rejected draws -------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [-3.0, 0.4, 0.999, 1.0, 1.7, math.nan])
@pytest.mark.parametrize("verdict", ["not detectable", "borderline", "needs more draws"])
def test_a_break_even_never_says_detectable_beside_a_verdict_that_is_not(
    rho: float, verdict: str
) -> None:
    endless = {"mdc": math.nan, "mdc_decrease": math.nan, "mdc_increase": math.nan}
    for more in ({}, {"acceptance": 0.95, **endless}):
        change = a_change(verdict=verdict, rho=0.9, rho_break_even=rho, **more)
        said = sentences.break_even(change)
        assert not said.startswith("detectable")
        if more:
            assert said.startswith("never: too many draws were rejected")


def test_a_decided_change_is_detectable_whatever_its_size_says() -> None:
    for rho in (-3.0, 0.5, 0.95, 1.2):
        change = a_change(verdict="decrease", rho=0.9, rho_break_even=rho)
        assert sentences.break_even(change).startswith("detectable")


def test_where_too_many_draws_were_rejected_no_size_is_said_to_be_found() -> None:
    """5 % of the last year's: nothing that ends in it can be decided, and no MDC is told."""
    about = subject(World(rejected=0.05))
    rows = [as_change(row) for row in verdict_table(about.changes)]
    last = [change for change in rows if change.to_year == 2005 and change.part == "total"]
    assert last
    for change in last:
        assert change.verdict == "not detectable"
        assert not change.decidable
        assert "too many draws were rejected" in sentences.break_even(change)
    step = [change for change in last if change.from_year == 2004]
    others = [c for c in rows if c.part == "total" and c.to_year == c.from_year + 1 < 2005]
    alone = str(sentences.headline(step[0], step, RULE))
    assert "missed" not in alone
    assert alone.endswith("Too many draws were rejected for a change of any size to be detectable.")
    both = str(sentences.headline(step[0], [*others, *step], RULE))
    assert "would be missed in one year out of five (2005: too many draws were rejected" in both
    assert "at none of" in sentences.funnel_caption(step, RULE)


def test_a_target_of_too_few_accepted_draws_is_said_to_have_no_limit() -> None:
    target = Target("less", 2005, (2000,), 1.1, "assumption")
    for rejected, said in ((0.1, True), (0.01, False)):
        rows = target_table(ensemble(World(rejected=rejected)), [target], RULE)
        (made,) = sections({"target": rows}, "NLD", "CO2", RULE, "toy", "nld-co2", drawn=False)
        told = " ".join(made.sentences)
        assert ("Too many draws were rejected for any estimate to be shown" in told) == said
        assert ("conforms up to" in told) != said


def test_sections_say_what_rejected_draws_leave_open() -> None:
    row = {
        "consumer": "NLD", "stressor": "CO2", "percent": 5.0, "part": "total", "from_year": 2000,
        "to_year": 2001, "equivalence": "not shown", "draws": 980, "acceptance": 0.98,
        "p_larger": 0.5, "p_larger_low": 0.49, "p_larger_high": 0.51, "smallest_percent": None,
        "smallest_percent_mcse": None,
    }  # fmt: skip
    for acceptance, said in ((0.98, True), (1.0, False)):
        topics = {"equivalence": [row | {"acceptance": acceptance}]}
        (made,) = sections(topics, "NLD", "CO2", RULE, "toy", "nld-co2", drawn=False)
        assert ("up to 2.0\xa0% were rejected" in " ".join(made.sentences)) == said
