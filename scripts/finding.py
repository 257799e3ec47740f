"""The page docs/finding.md and its figures, from a run of configs/finding.toml."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median as middle
from typing import Any

from jinja2 import Environment, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from engine import workflow
from engine.analysis.tables import number, places, probability, signed
from engine.config import load_names
from engine.report.figures.canvas import (
    FALL,
    INK,
    MUTED,
    PALE,
    PAPER,
    RISE,
    RULE,
    SMALL,
    WIDTH,
    plain_axes,
    style,
)
from engine.report.figures.labels import width
from engine.report.naming import Names
from engine.report.numbers import MINUS, NBSP
from engine.report.numbers import correlation as shown

Row = dict[str, Any]
BASE = "base"
YEARLY = "yearly, on average"  # in the rows of the budget
DETECTED = ("decrease", "increase")
UNDECIDED = "needs more draws"
NAMES = {
    "NLD": "the Netherlands",
    "DEU": "Germany",
    "EU27_2007": "the EU (27 members of 2007)",
    "CHN": "China",
    "USA": "the United States",
}
CALLED = Names(load_names(Path(__file__).parents[1] / "configs" / "finding.toml"))
SHORT = {"NLD": "Netherlands", "DEU": "Germany", "EU27_2007": "EU27", "CHN": "China", "USA": "USA"}
WHAT = {
    "short_memory": "half of every error is new each year",
    "long_memory": "all but a twentieth of every error lasts",
    "large_errors": "every error is twice as large",
}
QUANTITIES = {
    "known totals": "countries' emission totals",
    "s": "how a country's emissions divide among its industries",
    "F_Y": "how they divide between industries and final consumers",
    "A": "technical coefficients",
    "Y": "final demand",
}


def yearly(row: Row) -> bool:
    """Whether a row is about a change from one year to the next."""
    return bool(row["to_year"] == row["from_year"] + 1)


# The rows that the page needs of every table, and the columns that only say them in words.
KEPT: dict[str, Callable[[Row], bool]] = {
    "changes": yearly,
    "scenarios": yearly,
    "families": yearly,
    "years_to_detect": lambda row: bool(row["own"]) and row["given"] in ("decline", "years"),
    "budget": lambda row: row["change"] == YEARLY and row["by"] in ("quantity", "region", "sector"),
}
COLUMNS = {
    "years_to_detect": (
        *("consumer", "stressor", "real_sd", "given", "decline_percent", "decline_percent_mcse"),
        *("years", "years_low", "years_high", "most_years"),
    ),
    "budget": (
        *("consumer", "stressor", "by", "entry", "share", "mdc_decrease_percent"),
        *("mdc_decrease_percent_halved", "mdc_decrease_percent_lasting"),
    ),
}
PROSE = ("meaning", "linearity_meaning", "real_source", "basis", "method", "reason")


@dataclass(frozen=True, slots=True)
class Told:
    """Every table of one scenario, about totals."""

    tables: dict[str, list[Row]]

    def rows(self, table: str, consumer: str, **wanted: object) -> list[Row]:
        """The rows of a table about one consumer, with these values."""
        return [
            row
            for row in self.tables[table]
            if row["consumer"] == consumer
            and row["part"] == "total"
            and all(row[name] == value for name, value in wanted.items())
        ]

    def yearly(self, consumer: str) -> list[Row]:
        """The changes from one year to the next."""
        rows = self.rows("changes", consumer)
        return [row for row in rows if yearly(row)]


def main(folder: Path, docs: Path) -> None:
    run = workflow.open_run(folder)
    rule = workflow.rule_of(run)
    told = {
        name: Told(json.loads(workflow.detect(run, rule, name, "json")))
        for name in run.record.scenarios
    }
    beside = docs / "finding"
    beside.mkdir(parents=True, exist_ok=True)
    draw(told, beside)
    template = (Path(__file__).parent / "finding.md.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(template).render(context(told, run))
    (docs / "finding.md").write_text(f"{page.rstrip()}\n", encoding="utf-8", newline="\n")
    (beside / "finding.json").write_text(numbers(told), encoding="utf-8", newline="\n")
    print(f"page: {docs / 'finding.md'}")


def numbers(told: dict[str, Told]) -> str:
    """What the page and its figures are made from, by scenario and table, one row a line."""
    lines = []
    for name, one in told.items():
        for table, choose in KEPT.items():
            if table == "scenarios" and name != BASE:
                continue  # the same in all
            rows = [row for row in one.tables[table] if row["part"] == "total" and choose(row)]
            listed = ",\n  ".join(json.dumps(shortened(row, table)) for row in rows)
            lines.append(f'"{name}/{table}": [\n  {listed}\n ]')
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def shortened(row: Row, table: str) -> Row:
    """Six digits of every number, and of the largest tables the columns that the page uses."""
    names = COLUMNS.get(table, row.keys())
    return {
        name: float(f"{row[name]:.6g}") if isinstance(row[name], float) else row[name]
        for name in names
        if name not in PROSE
    }


# --- the page -----------------------------------------------------------------------------------


def context(told: dict[str, Told], run: workflow.Run) -> dict[str, Any]:
    """Everything the template says."""
    base = told[BASE]
    consumers = whose(base)
    return {
        "draws": base.tables["changes"][0]["draws"],
        "counts": counts(base, consumers),
        "consumers": [in_words(told, consumer) for consumer in consumers],
        "hangs": what_it_hangs_on(told, consumers),
        "changes": [line for consumer in consumers for line in change_lines(base, consumer)],
        "scenarios": [CALLED.scenario(name) for name in told],
        "mdcs": [mdc_line(told, consumer) for consumer in consumers],
        "years": [years_line(told, consumer) for consumer in consumers],
        "improvements": [
            improvement(row, consumer) for consumer in consumers for row in best(base, consumer)
        ],
        "assumptions": run.record.assumptions[BASE],
        "around": [(CALLED.scenario(name), what) for name, what in WHAT.items()],
    }


def whose(one: Told) -> list[str]:
    """The consumers, in the order of the question."""
    return list(dict.fromkeys(row["consumer"] for row in one.tables["changes"]))


def counts(base: Told, consumers: Sequence[str]) -> dict[str, int]:
    """How many yearly changes are detectable, and over the error models."""
    yearly = [row for consumer in consumers for row in base.yearly(consumer)]
    concluded = [
        over(base, consumer)[row["to_year"]]
        for consumer in consumers
        for row in base.yearly(consumer)
    ]
    kinds = ("robust", "robustly not", "depends", "contradictory", "open")
    return {
        "changes": len(yearly),
        "found": sum(row["verdict"] in DETECTED for row in yearly),
        "undecided": sum(row["verdict"] == UNDECIDED for row in yearly),
        **{kind.replace(" ", "_"): concluded.count(kind) for kind in kinds},
    }


def over(base: Told, consumer: str) -> dict[int, str]:
    """The conclusion over the error models, by the year of the change."""
    rows = base.rows("scenarios", consumer, scenario=BASE)
    return {row["to_year"]: row["conclusion"] for row in rows if yearly(row)}


def in_words(told: dict[str, Told], consumer: str) -> dict[str, str]:
    """What the first lines say of one consumer."""
    base = told[BASE]
    found = [row for row in base.yearly(consumer) if row["verdict"] in DETECTED]
    listed = ", ".join(
        f"{row['to_year']} ({signed(100 * row['relative_change'], 1)} %)" for row in found
    )
    of_each = [middle(falls(one, consumer)) for one in told.values()]
    alone, real = (needed(base, consumer, 3.0, sd) for sd in (0.0, 0.02))
    undecided = sum(row["verdict"] == UNDECIDED for row in base.yearly(consumer))
    more = (
        f"; {_COUNTS[undecided]} {_is(undecided)} open until more draws are made"
        if undecided
        else ""
    )
    return {
        "name": NAMES[consumer],
        "mdc": number(middle(falls(base, consumer)), 1),
        "mdc_least": number(min(of_each), 1),
        "mdc_most": number(max(of_each), 1),
        "seen": _seen(len(found), listed) + more,
        "years": in_years(alone),
        "years_spread": spread([needed(one, consumer, 3.0, 0.0) for one in told.values()]),
        "years_real": in_years(real),
        "years_real_spread": spread([needed(one, consumer, 3.0, 0.02) for one in told.values()]),
    }


_COUNTS = ("none", "one", "two", "three", "four", "five")


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _seen(found: int, listed: str) -> str:
    """How many of a consumer's five yearly changes are detectable, and which."""
    if not found:
        return "None of its five yearly changes is detectable"
    if found == 5:
        return f"All of its five yearly changes are detectable: {listed}"
    return f"Of its five yearly changes {_COUNTS[found]} {_is(found)} detectable: {listed}"


def in_years(row: Row) -> str:
    """`3 years`, `one year`."""
    return "one year" if count(row) == "1" else f"{count(row)} years"


def what_it_hangs_on(told: dict[str, Told], consumers: Sequence[str]) -> dict[str, str]:
    """How far the memory and the size of errors move the minimum detectable change."""

    def factor(above: str, below: str) -> float:
        pairs = ((falls(told[name], c) for name in (above, below)) for c in consumers)
        return middle([middle(one) / middle(other) for one, other in pairs])

    return {
        "memory": number(factor("short_memory", "long_memory"), 1),
        "size": number(factor("large_errors", BASE), 1),
    }


def falls(one: Told, consumer: str) -> list[float]:
    """The minimum detectable fall of each year, in percent."""
    return [row["mdc_decrease_percent"] for row in one.yearly(consumer)]


def needed(one: Told, consumer: str, percent: float, real: float) -> Row:
    """The row that tells how many years a decline needs."""
    rows = one.rows("years_to_detect", consumer, given="decline", decline_percent=percent)
    return next(row for row in rows if row["own"] and row["real_sd"] == real)


def count(row: Row) -> str:
    """Years, as a range where Monte Carlo error leaves one open."""
    if row["years"] is None:
        return f"more than {row['most_years']}"
    low, high = row["years_low"], row["years_high"]
    if low == high:
        return str(row["years"])
    return f"{low}-{high if high is not None else 'more'}"


def spread(rows: Sequence[Row]) -> str:
    """From the fewest to the most years."""
    known = [row["years"] for row in rows if row["years"] is not None]
    most_years = max(known) if len(known) == len(rows) else f"more than {rows[0]['most_years']}"
    return f"{min(known)} to {most_years}"


def change_lines(base: Told, consumer: str) -> Iterator[list[str]]:
    """One line a yearly change."""
    together = {row["to_year"]: row["adjusted"] for row in base.rows("families", consumer)}
    for row in base.yearly(consumer):
        decimals = places(100 * row["sigma"])
        low, high = (signed(100 * row[f"relative_{end}"], decimals) for end in ("low", "high"))
        yield [
            SHORT[consumer],
            str(row["to_year"]),
            f"{signed(100 * row['relative_change'], decimals)} %",
            f"{low} to {high} %",
            probability(row["p_decrease"], row["draws"], (1 - row["confidence"]) / 2),
            number(row["rho"], 3),
            correlation(row["rho_break_even"], row["rho_break_even_mcse"] or 0.0),
            row["verdict"],
            together[row["to_year"]],
            over(base, consumer)[row["to_year"]],
        ]


def correlation(rho: float, error: float) -> str:
    """A break-even correlation, in words where there is none."""
    if not -1 <= rho <= 1:
        return "always" if rho < -1 else "never"
    return shown(rho, error).replace(NBSP, " ").replace(MINUS, "-")


def mdc_line(told: dict[str, Told], consumer: str) -> list[str]:
    """Minimum detectable fall and standard uncertainty in every error model."""
    cells = [SHORT[consumer]]
    for one in told.values():
        sigma = middle([100 * row["sigma"] for row in one.yearly(consumer)])
        fall = middle(falls(one, consumer))
        cells.append(f"{number(fall, places(fall))} ({number(sigma, places(sigma))})")
    return cells


def years_line(told: dict[str, Told], consumer: str) -> list[str]:
    """Years needed in every error model, without and with real variability."""
    cells = [SHORT[consumer]]
    for one in told.values():
        plain, real = (
            " / ".join(count(needed(one, consumer, percent, sd)) for percent in (2.0, 3.0, 5.0))
            for sd in (0.0, 0.02)
        )
        cells.append(f"{plain} ({real})")
    return cells


def best(base: Told, consumer: str) -> list[Row]:
    """The three entries of the budget that would lower the minimum detectable change most."""
    rows = [
        row
        for row in base.rows("budget", consumer, change=YEARLY)
        if row["by"] in ("quantity", "region", "sector")
        and not row["entry"].startswith(("others", "totals of"))
    ]
    return sorted(rows, key=lambda row: float(row["mdc_decrease_percent_halved"]))[:3]


def improvement(row: Row, consumer: str) -> list[str]:
    """What halving or lasting errors would make of the minimum detectable change."""
    return [
        SHORT[consumer],
        f"{number(row['mdc_decrease_percent'], 1)} %",
        named(row),
        f"{number(100 * row['share'], 0)} %",
        f"{number(row['mdc_decrease_percent_halved'], 1)} %",
        f"{number(row['mdc_decrease_percent_lasting'], 1)} %",
    ]


def named(row: Row) -> str:
    """An entry of the budget in words."""
    entry = str(row["entry"])
    match row["by"]:
        case "region":
            return f"all data of {NAMES.get(entry, CALLED.within(entry))}"
        case "sector":
            return f"all data of the sector {CALLED.of(entry)}"
        case _:
            return QUANTITIES.get(entry, entry)


# --- figures ------------------------------------------------------------------------------------


def draw(told: dict[str, Told], folder: Path) -> None:
    consumers = whose(told[BASE])
    with style():
        write(changes_figure(told, consumers), folder / "changes.svg")
        write(years_figure(told, consumers), folder / "years.svg")
        write(budget_figure(told[BASE], consumers), folder / "budget.svg")


def write(figure: Figure, path: Path) -> None:
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    FigureCanvasSVG(figure).print_svg(path, metadata=nothing)  # type: ignore[no-untyped-call]


def changes_figure(told: dict[str, Told], consumers: Sequence[str]) -> Figure:
    figure = Figure(figsize=(WIDTH, 3.9))
    axes = figure.add_axes((0.06, 0.08, 0.925, 0.75))
    plain_axes(axes)
    for place, consumer in enumerate(consumers):
        rows = told[BASE].yearly(consumer)
        of_each = [middle(falls(one, consumer)) for one in told.values()]
        rises = [
            middle([r["mdc_increase_percent"] for r in one.yearly(consumer)])
            for one in told.values()
        ]
        base_fall, base_rise = of_each[list(told).index(BASE)], rises[list(told).index(BASE)]
        axes.bar(place, base_fall + base_rise, bottom=-base_fall, width=0.66, color=PALE)
        for end, sign in ((min(of_each), -1), (max(of_each), -1), (min(rises), 1), (max(rises), 1)):
            axes.plot([place - 0.33, place + 0.33], [sign * end] * 2, color=MUTED, lw=0.9, ls=DOTS)
        for step, row in enumerate(rows):
            x, y = place + 0.125 * (step - 2), 100 * row["relative_change"]
            _dot(axes, x, y, row["verdict"], RISE if y > 0 else FALL)
            axes.annotate(
                f"{row['to_year'] % 100:02d}",
                (x, y),
                xytext=(0, 5 if y > 0 else -5),
                textcoords="offset points",
                ha="center",
                va="bottom" if y > 0 else "top",
                fontsize=6.5,
                bbox={
                    "facecolor": PALE if -base_fall < y < base_rise else PAPER,
                    "edgecolor": "none",
                    "pad": 0.2,
                },
            )
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xticks(range(len(consumers)), [SHORT[consumer] for consumer in consumers])
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: signed(value, 0).replace("-", MINUS))
    )
    figure.text(0.012, 0.965, "yearly change, %", fontsize=SMALL, color=MUTED, va="center")
    _key(figure)
    return figure


DOTS = (0, (1, 1.5))


def _dot(axes: Axes, x: float, y: float, verdict: str, colour: str) -> None:
    """Full where a direction is detectable, half where more draws are needed to tell."""
    full = "full" if verdict in DETECTED else "none"
    filled = "left" if verdict == UNDECIDED else full
    axes.plot(x, y, "o", ms=6, color=colour, fillstyle=filled, markerfacecoloralt=PAPER)


def _key(figure: Figure) -> None:
    """What dots, blocks and lines are, in one line above the picture."""
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(0, figure.get_figheight())
    x, y = 0.16, figure.get_figheight() - 0.38
    for verdict, said in (
        (DETECTED[0], "detectable"),
        ("", "not detectable"),
        (UNDECIDED, "needs more draws"),
    ):
        _dot(axes, x, y, verdict, INK)
        axes.text(x + 0.1, y, said, fontsize=SMALL, va="center")
        x += 0.26 + width(said, SMALL)
    axes.bar(x + 0.08, 0.15, bottom=y - 0.075, width=0.2, color=PALE)
    said = "below the MDC, base"
    axes.text(x + 0.24, y, said, fontsize=SMALL, va="center")
    x += 0.42 + width(said, SMALL)
    axes.plot([x, x + 0.2], [y, y], color=MUTED, lw=0.9, ls=DOTS)
    axes.text(x + 0.26, y, "MDC, least and largest", fontsize=SMALL, va="center")


def years_figure(told: dict[str, Told], consumers: Sequence[str]) -> Figure:
    figure = Figure(figsize=(WIDTH, 2.6))
    for place, consumer in enumerate(consumers):
        axes = figure.add_axes((0.055 + 0.19 * place, 0.18, 0.165, 0.62))
        plain_axes(axes)
        curves = [curve(one, consumer) for one in told.values()]
        grid = range(1, 16)
        low, high = (
            [pick(c.get(n, float("nan")) for c in curves) for n in grid] for pick in (least, most)
        )
        axes.fill_betweenx(list(grid), low, high, color=PALE)
        own = curves[list(told).index(BASE)]
        axes.plot([own.get(n, float("nan")) for n in grid], list(grid), color=INK, linewidth=1.6)
        axes.set_xlim(0.0, 6.0)
        axes.set_ylim(0, 15)
        axes.set_yticks([1, 5, 10, 15])
        axes.set_xticks([1, 3, 5], ["1", "3", "5"])
        axes.set_title(SHORT[consumer], loc="left", fontsize=9, color=INK, weight="bold")
        if place:
            axes.set_yticklabels([])
    figure.text(0.5, 0.03, "steady fall, % a year", ha="center", fontsize=SMALL, color=MUTED)
    said = "years after the first (line: base; grey: over all error models)"
    figure.text(0.012, 0.955, said, fontsize=SMALL, color=MUTED, va="center")
    return figure


def least(values: Iterator[float]) -> float:
    return min((value for value in values if math.isfinite(value)), default=float("nan"))


def most(values: Iterator[float]) -> float:
    return max((value for value in values if math.isfinite(value)), default=float("nan"))


def curve(one: Told, consumer: str) -> dict[int, float]:
    """By years, the smallest fall that shows."""
    return {
        row["years"]: row["decline_percent"]
        for row in one.rows("years_to_detect", consumer, given="years")
        if row["own"] and row["real_sd"] == 0 and row["decline_percent"] is not None
    }


def budget_figure(base: Told, consumers: Sequence[str]) -> Figure:
    figure = Figure(figsize=(WIDTH, 2.9))
    axes = figure.add_axes((0.125, 0.36, 0.86, 0.62))
    plain_axes(axes, grid=False)
    axes.spines["bottom"].set_visible(False)
    entries = list(
        dict.fromkeys(
            row["entry"]
            for consumer in consumers
            for row in base.rows("budget", consumer, change=YEARLY, by="quantity")
        )
    )
    for place, consumer in enumerate(reversed(consumers)):
        shares = {
            row["entry"]: 100 * row["share"]
            for row in base.rows("budget", consumer, change=YEARLY, by="quantity")
        }
        left = 0.0
        for entry, (colour, ink) in zip(entries, COLOURS, strict=False):
            share = shares.get(entry, 0.0)
            axes.barh(place, share, left=left, height=0.66, color=colour, edgecolor=PAPER)
            if share >= LEAST_NUMBERED:
                axes.text(
                    left + share / 2, place, number(share, 0), color=ink, ha="center", va="center",
                    fontsize=SMALL,
                )  # fmt: skip
            left += share
    axes.set_xlim(0, 100)
    axes.set_xticks([])
    axes.set_yticks(range(len(consumers)), [SHORT[consumer] for consumer in reversed(consumers)])
    axes.tick_params(axis="y", labelcolor=INK)
    figure.text(
        0.555, 0.3, "share of the variance of a yearly change, %", ha="center", fontsize=SMALL,
        color=MUTED,
    )  # fmt: skip
    for at, (entry, (colour, _)) in enumerate(zip(entries, COLOURS, strict=False)):
        x, y = 0.125 + 0.4 * (at % 2), 0.19 - 0.075 * (at // 2)
        figure.text(x, y, "■", color=colour, fontsize=9)
        figure.text(x + 0.022, y, QUANTITIES.get(entry, entry), fontsize=SMALL, color=INK)
    return figure


# With the ink of the numbers on them; neighbours differ in lightness, so also in a grey print.
COLOURS = ((FALL, PAPER), ("#eda877", INK), (MUTED, PAPER), (RULE, INK), (INK, PAPER), (PALE, INK))
LEAST_NUMBERED = 4  # percent: a narrower bar has no room for its number


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
