"""The page: chapters, safety, assumptions and how to reproduce it, in one self-contained file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import xarray as xr
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from engine.analysis import along_correlation, is_split, verdict_table, with_controlled
from engine.errors import StoreError
from engine.prepare import Exact, exact_in_words
from engine.report.assumed import assumed
from engine.report.chapters import Chapter, Findings, chapter, gather
from engine.report.contributions import sorted_out
from engine.report.files import as_csv, as_json
from engine.report.naming import Names
from engine.report.reading import anchor, first_words, how_to_read
from engine.report.rows import Row, level_rows
from engine.report.safety import safety
from engine.report.solving import Titled, first_order_section, split_section
from engine.report.subject import SYNTHETIC, Subject
from engine.report.tables import monte_carlo_table
from engine.report.topic_errors import topic_errors

DATA_FOLDER = "report-data"
PAGE = "report.html"
_ILLUSTRATED = 12  # chapters with figures: some fifty figures keep the page near two megabytes

NOT_IN_THE_INTERVALS = (
    ("Aggregation", "a sector is treated as making one homogeneous product"),
    ("Zeros", "a cell that is zero in the table is taken as exactly zero"),
    ("Re-exports", "goods that pass through a country are counted as the table counts them"),
    ("Residence or territory", "emissions may follow residents or borders, as the accounts do"),
    ("Bunkers", "fuel of international shipping and aviation is where the accounts put it"),
    ("Capital", "capital goods count where they are bought, not where their services are used"),
    ("Biogenic CO₂", "carbon from biomass and land use is as the accounts include or exclude it"),
    ("Prices", "flows of money stand for flows of goods, whoever pays which price"),
)


def write(subject: Subject, folder: Path) -> Path:
    """Write `report.html`, `verdicts.json`, `verdicts.csv` and the figures' data into `folder`.

    Returns:
        The path of the page.

    Raises:
        StoreError: the folder cannot be written.
    """
    changes = verdict_table(subject.changes) if subject.changes else []
    changes = with_controlled(changes, subject.controlled)
    levels = level_rows(subject.levels)
    found = gather(changes, levels)
    chapters = _chapters(subject, found)
    curves = [row for each in chapters for row in each.curves]
    tables = {"levels": levels, "changes": changes, "correlation_curves": curves}
    written = _beside(subject, tables, chapters)
    written[PAGE] = _render(subject, found, chapters, changes)
    try:
        (folder / DATA_FOLDER).mkdir(parents=True, exist_ok=True)
        for name, text in written.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StoreError(
            f"the report cannot be written ({error})",
            where=str(folder),
            remedy="free space or choose another folder, then ask for the report again",
        ) from error
    return folder / PAGE


def _chapters(subject: Subject, found: list[Findings]) -> list[Chapter]:
    method, names = str(subject.ensemble.attrs["method"]), Names(subject.names)
    told = sorted_out(subject.contributions, names)
    along = _along(subject, found[:_ILLUSTRATED])
    return [
        chapter(
            each,
            i,
            subject.rule,
            subject.data,
            method,
            drawn=i <= _ILLUSTRATED,
            told=told.get((each.consumer, each.stressor), ()),
            topics=subject.topics,
            along=along,
            scenario=subject.scenario,
            names=names,
        )
        for i, each in enumerate(found, start=1)
    ]


def _along(subject: Subject, found: Sequence[Findings]) -> xr.Dataset | None:
    """What successive years need over the correlation, of the consumers that are drawn."""
    pairs = {(c.from_year, c.to_year) for each in found for c in each.successive}
    if not pairs:
        return None
    consumers = list(dict.fromkeys(each.consumer for each in found))
    return along_correlation(subject.ensemble, sorted(pairs), subject.rule, consumer=consumers)


def _beside(
    subject: Subject, tables: Mapping[str, list[Row]], chapters: list[Chapter]
) -> dict[str, str]:
    """The files beside the page, by name."""
    written = {
        "verdicts.json": as_json(_facts(subject, chapters), {**tables, **subject.topics}),
        "verdicts.csv": as_csv(tables["changes"], subject.data),
    }
    for each in chapters:
        for figure in each.illustrations:
            for name, rows in figure.data:
                written[f"{DATA_FOLDER}/{name}.csv"] = as_csv(rows, subject.data)
    return written


def _facts(subject: Subject, chapters: list[Chapter]) -> dict[str, Any]:
    return {
        "title": subject.title,
        "scenario": subject.scenario,
        "data": subject.data,
        "synthetic": subject.synthetic,
        "beware": subject.silent,
        "digest": str(subject.ensemble.attrs.get("digest", "")),
        "rule": {"confidence": subject.rule.confidence, "power": subject.rule.power},
        "headlines": [str(each.headline) for each in chapters],
    }


def _render(
    subject: Subject, found: list[Findings], chapters: list[Chapter], changes: list[Row]
) -> str:
    headlines = [(each.whole, each.successive) for each in found if each.whole]
    names, rule = Names(subject.names), subject.rule
    verdicts = {verdict for each in chapters for verdict in each.verdicts}
    conclusions = {kind for each in chapters for s in each.sections for kind in s.conclusions}
    notes = [note for each in chapters for note in each.notes]
    rejected = any(row["acceptance"] < 1 for row in changes)
    page: str = _template().render(
        subject=subject,
        chapters=chapters,
        illustrated=_ILLUSTRATED,
        data_folder=DATA_FOLDER,
        names=names,
        first_words=first_words(found, rule),
        reading=how_to_read(rule, verdicts, conclusions, notes, rejected=rejected),
        anchor=anchor,
        monte_carlo=monte_carlo_table(headlines, rule, names) if headlines else None,
        safety=safety(subject.ensemble, changes, rule, names),
        sections=_solving(subject, changes, names),
        assumed=assumed(subject, names),
        exact=_exact(subject),
        exclusions=NOT_IN_THE_INTERVALS,
        tables=_tables(subject.fact("tables")),
        handled=_handled(subject.fact("findings")),
        # Ours, and free of labels: safe to place unescaped.
        style=Markup(_own("style.css")),
    )
    return page


def _solving(subject: Subject, changes: list[Row], names: Names) -> list[Titled]:
    """What split mode costs, what the first order adds, and what chance among the draws leaves."""
    split = is_split(subject.ensemble)
    sections = [split_section(subject.ensemble, names)] if split else []
    if subject.controlled is not None:
        sections.append(
            first_order_section(subject.controlled, subject.rule, split=split, names=names)
        )
    told = {"changes": changes, "levels": level_rows(subject.levels), **subject.topics}
    if subject.contributions:
        told["contributions"] = list(subject.contributions)
    return sections + topic_errors(told)


def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_own("template.html.j2"))


def _own(name: str) -> str:
    return resources("engine.report").joinpath(name).read_text(encoding="utf-8")


# --- provenance ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where the tables of some years come from."""

    years: str
    name: str
    licence: str
    files: tuple[tuple[str, str], ...]


def _tables(tables: Mapping[str, Mapping[str, Any]]) -> list[_Origin]:
    """Provenance by source: years of one release share a line."""
    together: dict[tuple[str, str], list[str]] = {}
    for year, table in tables.items():
        name = f"{table['source']} {table['version']}".strip()
        if table["synthetic"] and not name.startswith(SYNTHETIC):
            name = SYNTHETIC + name
        together.setdefault((name, str(table["licence"])), []).append(str(year))
    return [
        _Origin(
            ", ".join(years),
            name,
            licence,
            tuple(dict.fromkeys((str(f), str(h)) for y in years for f, h in tables[y]["files"])),
        )
        for (name, licence), years in together.items()
    ]


def _exact(subject: Subject) -> list[str]:
    """What has no error at all; nothing where the ensemble does not say."""
    if "exact" not in subject.ensemble.attrs:
        return []
    years = subject.fact("exact").items()
    return list(exact_in_words({int(year): [Exact(**one) for one in some] for year, some in years}))


def _handled(findings: Mapping[str, list[Mapping[str, Any]]]) -> list[tuple[str, str]]:
    """What the tables' policy had to handle: how often, in which years, the worst of it."""
    by_kind: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for year, noted in findings.items():
        for finding in noted:
            by_kind.setdefault(str(finding["kind"]), []).append((str(year), finding))
    return [
        (kind, "; ".join(f"{year}: {f['count']} ({f['detail']})" for year, f in noted))
        for kind, noted in by_kind.items()
    ]
