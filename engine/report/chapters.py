"""One chapter a consumer and stressor: its headline, figures and tables, from the shared rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from engine.kernels.changes import DetectionRule
from engine.report import sentences, tables
from engine.report.contributions import Told
from engine.report.figures import fan, funnel, matrix
from engine.report.matter import Illustration, Section
from engine.report.naming import Names
from engine.report.rows import Change, Level, Row, as_change, as_level
from engine.report.scenarios import over_scenarios
from engine.report.sections import about, sections
from engine.report.sentences import Headline
from engine.report.tables import Table
from engine.report.targets import limits
from engine.report.words import estimate, step, years

_ALL_SHOWN = 12
_CODES = Names()
PART_TITLES = {"domestic": "Domestic", "foreign": "Foreign", "direct": "Direct"}


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of one consumer and stressor, in the order of years and parts."""

    consumer: str
    stressor: str
    totals: tuple[Level, ...]
    parts: tuple[tuple[str, tuple[Level, ...]], ...]
    changes: tuple[Change, ...]
    part_changes: tuple[Change, ...]

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


@dataclass(frozen=True, slots=True)
class Chapter:
    """What the template lays out for one consumer and stressor; None where there is nothing."""

    anchor: str
    title: str
    verdict: str
    headline: Headline
    over_scenarios: str
    gap: str
    fan: Illustration | None
    parts: Illustration | None
    matrix: Illustration | None
    funnel: Illustration | None
    levels: Table
    changes: Table | None
    longer: Table | None
    break_even: Table | None
    verdicts: frozenset[str]
    told: tuple[Told, ...]
    sections: tuple[Section, ...]

    @property
    def notes(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """How to read its sections, by their titles."""
        yield from ((one.title, one.notes) for one in self.told)
        yield from ((section.title, section.notes) for section in self.sections)

    @property
    def illustrations(self) -> tuple[Illustration, ...]:
        """The figures this chapter has, folded ones included."""
        drawn = (self.fan, self.parts, self.matrix, self.funnel)
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
    names: Names = _CODES,
) -> Chapter:
    """Everything the page says about one consumer and stressor.

    Args:
        number: its place among the chapters; keeps anchors and file names apart.
        data: the data set's name, shown in every figure.
        drawn: whether it has figures; a page with very many chapters draws the first ones.
        told: where the footprint arises, if that was asked.
        topics: rows of the topics beside the verdicts, of all chapters, by topic.
        names: what codes are called.
    """
    stem = f"{number:02d}-{_slug(findings.consumer)}-{_slug(findings.stressor)}"
    worst, judged = sentences.gap(findings.totals), _judged(findings.successive)
    drawable = tuple(change for change in judged if change.decidable)
    asked = about(topics.get("target", ()), findings.consumer, findings.stressor)
    easel = _Easel(findings, rule, data, stem, limits(asked), names)
    return Chapter(
        anchor=f"chapter-{number}",
        title=f"{names.of(findings.consumer)}, {names.of(findings.stressor)}",
        verdict=findings.whole.verdict if findings.whole else "",
        headline=_headline(findings, rule, names),
        over_scenarios=over_scenarios(
            about(topics.get("scenarios", ()), findings.consumer, findings.stressor), names
        ),
        gap=sentences.gap_explained(worst, method) if worst else "",
        fan=easel.fan(median=worst is not None) if drawn else None,
        parts=easel.parts() if drawn and findings.parts else None,
        matrix=easel.matrix() if drawn and findings.changes else None,
        funnel=easel.funnel(drawable) if drawn and drawable else None,
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
    )


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
        totals, about = self.findings.totals, self._about("Footprint over time")
        points = "; ".join(f"{row.year}: {sentences.measured(row)}" for row in totals)
        key = f"{self.stem}-levels"
        caption = sentences.fan_caption(totals)
        data = [(key, _level_rows(totals))]
        if self.limits:
            caption += " The red line is what a target allows, as a share of the base's estimate."
            points += "".join(f"; {limit.name}: at most {limit.value:.4g}" for limit in self.limits)
            data.append((f"{key}-targets", [asdict(limit) for limit in self.limits]))
        picture = fan.fan(
            totals,
            key=key,
            data=self.data,
            alt=f"{about}. {points}.",
            median=median,
            limits=self.limits,
        )
        return Illustration(picture, caption, tuple(data))

    def parts(self) -> Illustration:
        parts, about = self.findings.parts, self._about("Parts of the footprint over time")
        last = [levels[-1] for _, levels in parts]
        ends = "; ".join(f"{row.part}: {sentences.measured(row)}" for row in last)
        key = f"{self.stem}-parts"
        picture = fan.multiples(
            parts, key=key, data=self.data, alt=f"{about}. In {last[0].year}, {ends}."
        )
        rows = [row for _, levels in parts for row in _level_rows(levels)]
        return Illustration(picture, sentences.parts_caption(last), ((key, rows),))

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
        return Illustration(picture, caption, ((key, _change_rows(changes)),))

    def funnel(self, changes: Sequence[Change]) -> Illustration:
        about = self._about("Smallest detectable change against the correlation of errors")
        spoken = "; ".join(f"{step(c)}: {sentences.break_even(c)}" for c in changes)
        key = f"{self.stem}-correlation"
        picture = funnel.funnel(
            changes, self.rule, key=key, data=self.data, alt=f"{about}. {spoken}."
        )
        rho = np.round(np.linspace(-0.5, 1.0, 151), 10)
        drawn = _curve_rows(funnel.curves(changes, self.rule, rho))
        rules = _change_rows(changes)
        caption = sentences.funnel_caption(changes, self.rule)
        return Illustration(picture, caption, ((key, drawn), (f"{key}-observed", rules)))

    def _about(self, what: str) -> str:
        consumer, stressor = map(self.names.of, (self.findings.consumer, self.findings.stressor))
        return f"{what}: {consumer}, {stressor} ({self.data})"


def _level_rows(levels: Sequence[Level]) -> list[Row]:
    return [asdict(row) for row in levels]


def _change_rows(changes: Sequence[Change]) -> list[Row]:
    return [asdict(change) for change in changes]


def _curve_rows(drawn: funnel.Curves) -> list[Row]:
    """Log points or units, whatever the changes are judged in."""
    names = ("median", "lowest", "highest")
    columns = {f"detection_limit_{name}": drawn.limit[i] for i, name in enumerate(names)}
    columns |= {f"mdc_of_fall_{name}": drawn.fall[i] for i, name in enumerate(names)}
    columns |= {f"mdc_of_rise_{name}": drawn.rise[i] for i, name in enumerate(names)}
    return [
        {"rho": float(rho), **{name: float(column[i]) for name, column in columns.items()}}
        for i, rho in enumerate(drawn.rho)
    ]


def gather(changes: Sequence[Row], levels: Sequence[Row]) -> list[Findings]:
    """The rows of the whole run, sorted out by consumer and stressor."""
    named = list(dict.fromkeys((str(row["consumer"]), str(row["stressor"])) for row in levels))
    consumers = list(dict.fromkeys(consumer for consumer, _ in named))
    found = []
    for consumer, stressor in sorted(named, key=lambda pair: consumers.index(pair[0])):
        mine = [as_change(row) for row in changes if _belongs(row, consumer, stressor)]
        heights = [as_level(row) for row in levels if _belongs(row, consumer, stressor)]
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
