"""One chapter a consumer and stressor: its headline, figures and tables, from the shared rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np
import xarray as xr

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule
from engine.report import sentences, tables
from engine.report.contributions import Told
from engine.report.figures import fan, funnel, matrix
from engine.report.matter import Illustration, Section
from engine.report.naming import CODES, Names
from engine.report.numbers import correlation
from engine.report.rows import Change, Level, Row, as_change, as_level
from engine.report.scenarios import over_scenarios
from engine.report.sections import about, sections
from engine.report.sentences import Headline
from engine.report.tables import Table
from engine.report.targets import limits
from engine.report.words import estimate, step, years

_ALL_SHOWN = 12
PART_TITLES = {"domestic": "Domestic", "foreign": "Foreign", "direct": "Direct"}


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of one consumer and stressor, in the order of years and parts.

    Attributes:
        level_rows, change_rows: the rows it was read from, with all that the files hold of them.
    """

    consumer: str
    stressor: str
    totals: tuple[Level, ...]
    parts: tuple[tuple[str, tuple[Level, ...]], ...]
    changes: tuple[Change, ...]
    part_changes: tuple[Change, ...]
    level_rows: tuple[Row, ...] = ()
    change_rows: tuple[Row, ...] = ()

    @property
    def whole(self) -> Change | None:
        """The change over the longest time; None where there is one year only."""
        return max(self.changes, key=lambda c: c.to_year - c.from_year, default=None)

    @property
    def successive(self) -> tuple[Change, ...]:
        """The changes from one year of the run to the next."""
        run = [row.year for row in self.totals]
        steps = set(pairwise(run))
        return tuple(c for c in self.changes if (c.from_year, c.to_year) in steps)

    def rows_of(self, changes: Sequence[Change]) -> list[Row]:
        """The rows that changes of this chapter were read from."""
        wanted = [(change.from_year, change.to_year, change.part) for change in changes]
        rows = {(row["from_year"], row["to_year"], row["part"]): row for row in self.change_rows}
        return [rows[one] for one in wanted]


@dataclass(frozen=True, slots=True)
class Chapter:
    """What the template lays out for one consumer and stressor; None where there is nothing.

    Attributes:
        curves: how large a change must be over the correlation, as it is drawn.
    """

    anchor: str
    title: str
    verdict: str
    headline: Headline
    over_scenarios: str
    gap: str
    fan: Illustration | None
    matrix: Illustration | None
    funnel: Illustration | None
    levels: Table
    changes: Table | None
    longer: Table | None
    break_even: Table | None
    verdicts: frozenset[str]
    told: tuple[Told, ...]
    sections: tuple[Section, ...]
    curves: tuple[Row, ...] = ()

    @property
    def notes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """How to read its sections, by their titles."""
        yield from ((one.title, one.notes) for one in self.told)
        yield from ((section.title, section.notes) for section in self.sections)

    @property
    def illustrations(self) -> tuple[Illustration, ...]:
        """The figures this chapter has, folded ones included."""
        drawn = (self.fan, self.matrix, self.funnel)
        others = (figure for section in self.sections for figure in section.illustrations)
        return (*(figure for figure in drawn if figure is not None), *others)


def chapter(
    findings: Findings,
    number: int,
    rule: DetectionRule,
    data: str,
    method: str,
    *,
    drawn: bool,
    told: Sequence[Told] = (),
    topics: Mapping[str, Sequence[Row]] = MappingProxyType({}),
    along: xr.Dataset | None = None,
    scenario: str = "this error model",
    names: Names = CODES,
) -> Chapter:
    """Everything the page says about one consumer and stressor.

    Args:
        number: its place among the chapters; keeps anchors and file names apart.
        data: the data set's name, shown in every figure.
        drawn: whether it has figures; a page with very many chapters draws the first ones.
        told: where the footprint arises, if that was asked.
        topics: rows of the topics beside the verdicts, of all chapters, by topic.
        along: `engine.analysis.along_correlation` of the successive years; without it nothing is
            drawn over the correlation.
        scenario: of the error model, that the page is about.
        names: what codes are called.
    """
    stem = f"{number:02d}-{_slug(findings.consumer)}-{_slug(findings.stressor)}"
    worst, judged = sentences.gap(findings.totals), _judged(findings.successive)
    drawable = tuple(change for change in judged if change.decidable)
    asked = about(topics.get("target", ()), findings.consumer, findings.stressor)
    easel = _Easel(findings, rule, data, stem, limits(asked), names)
    over = _over(findings, drawable, along) if drawn and drawable and along is not None else None
    scenarios = about(topics.get("scenarios", ()), findings.consumer, findings.stressor)
    return Chapter(
        anchor=f"chapter-{number}",
        title=f"{names.of(findings.consumer)}, {names.of(findings.stressor)}",
        verdict=findings.whole.verdict if findings.whole else "",
        headline=_headline(findings, rule, names),
        over_scenarios=over_scenarios(scenarios, names),
        gap=sentences.gap_explained(worst, method) if worst else "",
        fan=easel.fan(median=worst is not None) if drawn else None,
        matrix=easel.matrix() if drawn and findings.changes else None,
        funnel=easel.funnel(drawable, over, scenario, scenarios) if over else None,
        levels=tables.levels_table(findings.totals, findings.parts),
        changes=_changes(findings, rule),
        longer=_longer(findings, rule),
        break_even=tables.break_even_table(judged) if judged else None,
        verdicts=_verdicts(findings, told),
        told=tuple(told),
        sections=sections(
            topics,
            findings.consumer,
            findings.stressor,
            rule,
            data,
            stem,
            drawn=drawn,
            names=names,
        ),
        curves=tuple(_curve_rows(over, drawable[0])) if over else (),
    )


def _over(findings: Findings, changes: Sequence[Change], along: xr.Dataset) -> funnel.Curves:
    """How large these changes would have to be, over the correlation."""
    found = along.sel(consumer=findings.consumer, stressor=findings.stressor)
    ends = (found[end].to_numpy().tolist() for end in ("from_year", "to_year"))
    where = {pair: place for place, pair in enumerate(zip(*ends, strict=True))}
    chosen = found.isel(pair=[where[change.from_year, change.to_year] for change in changes])
    chosen = chosen.transpose("rho", "pair")
    limit, fall, rise = (
        (chosen[name].to_numpy(), chosen[f"{name}_mcse"].to_numpy())
        for name in ("detection_limit", "mdc_decrease", "mdc_increase")
    )
    return funnel.curves(chosen["rho"].to_numpy(), limit, fall, rise)


def _verdicts(findings: Findings, told: Sequence[Told]) -> frozenset[str]:
    """The verdicts that the chapter shows."""
    met = {change.verdict for change in (*findings.changes, *findings.part_changes)}
    return frozenset(met | {line.verdict for one in told for line in one.table.lines})


def _headline(findings: Findings, rule: DetectionRule, names: Names) -> Headline:
    if findings.whole is None:
        return sentences.level_headline(findings.totals[0], names)
    return sentences.headline(findings.whole, findings.successive, rule, names)


def _slug(name: str) -> str:
    """A file name that is safe anywhere, whatever the label holds."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "unnamed"


def _judged(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The changes whose years both have an error: only these hang on a correlation."""
    judged = tuple(c for c in changes if c.s1 > 0 and c.s2 > 0 and np.isfinite(c.rho_break_even))
    # Logarithms and raw differences do not share an axis.
    return judged if len({change.scale for change in judged}) == 1 else ()


def _changes(findings: Findings, rule: DetectionRule) -> Table | None:
    """From one year to the next, over the longest time, and that by part."""
    whole = findings.whole
    if whole is None:
        return None
    longest = [] if whole in findings.successive else [whole]
    shown = [*findings.successive, *longest, *findings.part_changes]
    return tables.changes_table(shown, rule, _CHANGES if len(shown) > 1 else _ONE_CHANGE)


_CHANGES = "From one year to the next, over the longest time, and that by part."
_ONE_CHANGE = "The change between the two years."


def _longer(findings: Findings, rule: DetectionRule) -> Table | None:
    """Other changes over more than one step; of many only those from the first year on."""
    told = (*findings.successive, findings.whole)
    longer = [change for change in findings.changes if change not in told]
    if not longer:
        return None
    if len(longer) <= _ALL_SHOWN:
        return tables.changes_table(longer, rule, "Between other years.")
    first = findings.totals[0].year
    caption = (
        f"From {first} on. The other pairs of years are in the figure, and in the files beside "
        "this page."
    )
    return tables.changes_table([c for c in longer if c.from_year == first], rule, caption)


@dataclass(frozen=True, slots=True)
class _Easel:
    """Draws the figures of one chapter."""

    findings: Findings
    rule: DetectionRule
    data: str
    stem: str
    limits: tuple[fan.Limit, ...]
    names: Names

    def fan(self, *, median: bool) -> Illustration:
        findings, about = self.findings, self._about("Footprint over time")
        totals, parts = findings.totals, findings.parts
        points = "; ".join(f"{row.year}: {sentences.measured(row)}" for row in totals)
        key = f"{self.stem}-levels"
        at_zero = fan.bottom(totals, self.limits) == 0
        caption = sentences.fan_caption(totals, zero_based=at_zero)
        data = [(key, self._level_rows("total"))]
        if self.limits:
            caption += " The red line is what a target allows, as a share of the base's estimate."
            points += "".join(f"; {limit.name}: at most {limit.value:.4g}" for limit in self.limits)
            data.append((f"{key}-targets", [asdict(limit) for limit in self.limits]))
        if parts:
            last = [levels[-1] for _, levels in parts]
            caption += f" {sentences.parts_caption(last, findings.part_changes)}"
            ends = "; ".join(f"{row.part}: {sentences.measured(row)}" for row in last)
            points += f". Its parts in {last[0].year}, {ends}"
            rows = [row for part in last for row in self._level_rows(part.part)]
            data.append((f"{self.stem}-parts", rows))
        picture = fan.over_time(
            totals,
            parts,
            key=key,
            data=self.data,
            alt=f"{about}. {points}.",
            median=median,
            limits=self.limits,
        )
        return Illustration(picture, caption, tuple(data))

    def _level_rows(self, part: str) -> list[Row]:
        return [row for row in self.findings.level_rows if row["part"] == part]

    def matrix(self) -> Illustration:
        changes, about = self.findings.changes, self._about("Verdict on the change between years")
        every = [row.year for row in self.findings.totals]
        cells = [matrix.Cell(c.from_year, c.to_year, c.verdict, estimate(c).value) for c in changes]
        spoken = "; ".join(
            f"{years(c)}: {estimate(c).value}{estimate(c).unit}, {c.verdict}" for c in changes
        )
        key = f"{self.stem}-changes"
        unit = estimate(changes[0]).unit.strip()
        picture = matrix.matrix(
            cells, every, unit, key=key, data=self.data, alt=f"{about}. {spoken}."
        )
        caption = sentences.matrix_caption(changes, self.rule)
        return Illustration(picture, caption, ((key, self.findings.rows_of(changes)),))

    def funnel(
        self,
        changes: Sequence[Change],
        over: funnel.Curves,
        scenario: str,
        scenarios: Sequence[Row],
    ) -> Illustration:
        about = self._about("Smallest detectable change against the correlation of errors")
        spoken = "; ".join(f"{step(c)}: {sentences.break_even(c)}" for c in changes)
        key = f"{self.stem}-correlation"
        others = _other_scenarios(scenarios, scenario, changes)
        called = self.names.scenario
        marks = [funnel.Mark(called(scenario), tuple(c.rho for c in changes), own=True)]
        marks += [
            funnel.Mark(called(name), tuple(row["rho"] for row in rows), own=False)
            for name, rows in others.items()
        ]
        placed = "; ".join(
            f"{mark.name} at a correlation of {correlation(mark.middle)}" for mark in marks
        )
        picture = funnel.funnel(
            changes,
            over,
            marks,
            self.rule.power,
            key=key,
            data=self.data,
            alt=f"{about}. {spoken}. Scenarios: {placed}.",
        )
        drawn = _curve_rows(over.from_(funnel.lowest_shown(marks)), changes[0])
        data = [(key, drawn), (f"{key}-observed", self.findings.rows_of(changes))]
        if others:
            rows = [row for own in others.values() for row in own]
            data.append((f"{key}-scenarios", rows))
        caption = sentences.funnel_caption(changes, self.rule, others=len(others))
        return Illustration(picture, caption, tuple(data))

    def _about(self, what: str) -> str:
        consumer, stressor = map(self.names.of, (self.findings.consumer, self.findings.stressor))
        return f"{what}: {consumer}, {stressor} ({self.data})"


def _other_scenarios(
    rows: Sequence[Row], scenario: str, changes: Sequence[Change]
) -> dict[str, list[Row]]:
    """What the other scenarios say of these changes, where they are drawn and have an error."""
    wanted = {(change.from_year, change.to_year) for change in changes}
    found: dict[str, list[Row]] = {}
    for row in rows:
        years_of = row["from_year"], row["to_year"]
        if row["part"] == "total" and years_of in wanted and row["rho"] is not None:
            found.setdefault(str(row["scenario"]), []).append(row)
    found.pop(scenario, None)
    return found


def _curve_rows(drawn: funnel.Curves, change: Change) -> list[Row]:
    """Of every correlation, in log points or in the unit, whatever the changes are judged in."""
    label: Row = {name: getattr(change, name) for name in ("stressor", "unit", "consumer", "part")}
    columns: dict[str, F64] = {}
    kinds = {"detection_limit": drawn.limit, "mdc_decrease": drawn.fall, "mdc_increase": drawn.rise}
    for kind, curve in kinds.items():
        for i, which in enumerate(("median", "lowest", "highest")):
            columns |= {f"{kind}_{which}": curve.value[i], f"{kind}_{which}_mcse": curve.mcse[i]}
    return [
        {
            **label,
            "scale": change.scale,
            "rho": float(rho),
            **{name: float(column[i]) for name, column in columns.items()},
        }
        for i, rho in enumerate(drawn.rho)
    ]


def gather(changes: Sequence[Row], levels: Sequence[Row]) -> list[Findings]:
    """The rows of the whole run, sorted out by consumer and stressor."""
    named = list(dict.fromkeys((str(row["consumer"]), str(row["stressor"])) for row in levels))
    consumers = list(dict.fromkeys(consumer for consumer, _ in named))
    found = []
    for consumer, stressor in sorted(named, key=lambda pair: consumers.index(pair[0])):
        change_rows = tuple(row for row in changes if _belongs(row, consumer, stressor))
        own_levels = tuple(row for row in levels if _belongs(row, consumer, stressor))
        mine = [as_change(row) for row in change_rows]
        heights = [as_level(row) for row in own_levels]
        others = [part for part in dict.fromkeys(row.part for row in heights) if part != "total"]
        totals = tuple(change for change in mine if change.part == "total")
        found.append(
            Findings(
                consumer,
                stressor,
                tuple(row for row in heights if row.part == "total"),
                tuple(
                    (PART_TITLES.get(part, part), tuple(r for r in heights if r.part == part))
                    for part in others
                ),
                totals,
                _of_parts(mine, others),
                own_levels,
                change_rows,
            )
        )
    return found


def _belongs(row: Row, consumer: str, stressor: str) -> bool:
    return (row["consumer"], row["stressor"]) == (consumer, stressor)


def _of_parts(changes: Sequence[Change], parts: Sequence[str]) -> tuple[Change, ...]:
    """The change over the longest time, of each part."""
    of_parts = [change for change in changes if change.part in parts]
    longest = max((c.to_year - c.from_year for c in of_parts), default=0)
    return tuple(c for c in of_parts if c.to_year - c.from_year == longest)
