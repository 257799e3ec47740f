"""The error model of a scenario: names, sizes, components and time keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from engine.config import schema
from engine.config.explaining import CHOICES
from engine.config.paths import resolved
from engine.config.presets import by_year, preset
from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    Constant,
    DirichletShares,
    Empirical,
    Errors,
    ErrorSize,
    FromFile,
    Law,
    Period,
    Persistent,
    PowerLaw,
    Quantity,
    TimeKey,
    Yearly,
    check_size,
)
from engine.errors import ConfigError, TableError
from engine.prepare import mapped
from engine.readers.files import located
from engine.readers.files import sha256 as sha256_of
from engine.readers.sizes import read_size_table

# A scenario is a folder beside `run.json` and `report-<scenario>`, on Windows too.
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TAKEN_NAME = re.compile(
    r"report.*|run\.json|.*\.|(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE
)


def check_scenario_names(scenarios: Mapping[str, schema.Scenario]) -> None:
    """A scenario's name is its folder's, so it must be one on every file system."""
    folders: dict[str, str] = {}
    for name in scenarios:
        if not _FOLDER_NAME.fullmatch(name) or _TAKEN_NAME.fullmatch(name):
            raise ConfigError(
                f"a scenario cannot be called {name!r}, for its folder has the same name",
                where=f"scenarios.{name}",
                remedy="use up to 64 letters, digits, `_`, `-` and `.`, a letter or digit first, "
                "and no name of a report or a device",
            )
        other = folders.setdefault(name.casefold(), name)
        if other != name:
            raise ConfigError(
                f"differs from the scenario `{other}` by capitals alone",
                where=f"scenarios.{name}",
                remedy="use another name; some file systems would give both the same folder",
            )


def errors(
    entry: schema.Errors,
    path: Path,
    years: tuple[int, ...],
    shares: Collection[Quantity] = (),
) -> Errors:
    """An entry of the errors of a scenario.

    Args:
        shares: the quantities of which some cells are Dirichlet shares of known totals: an entry
            of theirs without a size is about these cells.
    """
    where = f"errors of {entry.quantity}"
    of_shares = entry.quantity in shares and not _sizes_of(entry)
    if of_shares and entry.law is not None:
        raise ConfigError(
            f"Dirichlet shares have their own law, not `{entry.law}`",
            where=where,
            remedy="leave `law` out, or give a size where the cells are no such shares",
        )
    if not of_shares:
        _refuse_two_sizes(entry, where)
    given = None if entry.components is None else tuple(map(_component, entry.components))
    others_exact = True
    if entry.preset is not None:
        of_preset = preset(entry, entry.preset, given, path, f"{where}, preset")
        size, components = of_preset.size, of_preset.components
        source: str | None = of_preset.source
        others_exact = of_preset.others_exact
    elif entry.factors is not None:
        _refuse_law(entry, where)
        size = _empirical(entry.factors, path, years, f"{where}, factors")
        components, source = given or (), entry.source
    else:
        size = DirichletShares() if of_shares else _size(entry, path, years, where)
        components, source = given, entry.source
    if components is None:
        raise ConfigError(
            "no `components` say what shares this error",
            where=where,
            remedy="list one or more, whose weights add up to one, each with its group and time",
        )
    if source is None:
        raise ConfigError("no source is stated", where=f"{where}, source", remedy=CHOICES["source"])
    return Errors(
        quantity=Quantity(entry.quantity),
        only={key: tuple(names) for key, names in entry.only.items()},
        size=size,
        components=components,
        source=source,
        law=Law(entry.law or Law.LOGNORMAL),
        provisional=provisional(entry.provisional, where),
        others_exact=others_exact,
    )


def provisional(given: Mapping[str, float], where: str) -> dict[int, float]:
    """Factors on the size of errors by year."""
    try:
        return {int(year): factor for year, factor in given.items()}
    except ValueError:
        raise ConfigError(
            "the keys of `provisional` are not years",
            where=f"{where}, provisional",
            remedy='write provisional = { "2020" = 1.5, "2021" = 2.0 }',
        ) from None


_SIZES = ("rsd", "power_law", "table", "file", "factors", "preset")


def _sizes_of(entry: schema.Errors) -> list[str]:
    return [key for key in _SIZES if getattr(entry, key) is not None]


def _refuse_two_sizes(entry: schema.Errors, where: str) -> None:
    given = _sizes_of(entry)
    if len(given) != 1:
        raise ConfigError(
            f"the size of the error is given {len(given)} times",
            where=where,
            remedy="give exactly one of `rsd`, `power_law`, `table` (CSV), `file` (.npy), "
            "`factors` (.npy) and `preset`",
        )


def _size(entry: schema.Errors, path: Path, years: tuple[int, ...], where: str) -> ErrorSize:
    if entry.rsd is not None:
        return Constant(entry.rsd)
    if entry.power_law is not None:
        return _power_law(entry.power_law, where)
    if entry.table is not None:
        csv = resolved(entry.table, path, f"{where}, table")
        table = read_size_table(csv)
        sizes = ByLabel(table.keys, table.rsd, table.unmet)
        check_size(sizes, Quantity(entry.quantity), f"{where}, table {csv}")
        return sizes
    file = resolved(entry.file or "", path, f"{where}, file")
    with located(f"{where}, file"):
        if "{year}" not in file.name:
            return FromFile(file, sha256_of(file))
        of_year = FromFile(file, ()).file
        return FromFile(file, tuple((year, sha256_of(of_year(year))) for year in sorted(years)))


def _refuse_law(entry: schema.Errors, where: str) -> None:
    if entry.law is not None:
        raise ConfigError(
            f"factors from a file have the file's own law, not `{entry.law}`",
            where=where,
            remedy="leave `law` out",
        )


def _empirical(asked: schema.Factors, path: Path, years: tuple[int, ...], where: str) -> Empirical:
    template = resolved(asked.file, path, where)
    hashes, counts = [], []
    for year in years:
        file = Empirical(template, (), 0, asked.rescale).file(year)
        try:
            hashes.append((year, sha256_of(file)))
        except TableError as error:
            raise ConfigError(
                f"{file} {error.what}",
                where=where,
                remedy="give a .npy file; {year} in its name stands for the year",
            ) from error
        array = mapped(file, f"{where} {file}")
        if array.ndim != 3 or not len(array):
            raise ConfigError(
                f"{file} has the shape {array.shape}, not (realisations, rows, columns)",
                where=where,
                remedy="give one factor a realisation and cell of the quantity",
            )
        counts.append(len(array))
    return Empirical(template, tuple(hashes), min(counts), asked.rescale)


def _power_law(law: schema.PowerLaw, where: str) -> PowerLaw:
    conversion = by_year(law.per_table_unit, f"{where}, power_law")
    return PowerLaw(law.a, law.b, law.floor, law.ceiling, law.currency, conversion)


def _component(component: schema.Component) -> Component:
    group = component.group
    shared = None
    if component.shared_with is not None:
        quantity, _, name = component.shared_with.partition(".")
        if quantity not in list(Quantity) or not name:
            raise ConfigError(
                f"`shared_with` is {component.shared_with}, not QUANTITY.COMPONENT",
                where=f"component {component.name}",
                remedy='write for example shared_with = "E.national"',
            )
        shared = (Quantity(quantity), name)
    return Component(
        name=component.name,
        weight=component.weight,
        group=(group,) if isinstance(group, str) else tuple(group),
        time=time_key(component.time),
        shared_with=shared,
    )


def time_key(asked: str | schema.TimeTable) -> TimeKey:
    """Which years share an error."""
    match asked:
        case "persistent":
            return Persistent()
        case "yearly":
            return Yearly()
        case schema.TimeTable(ar1=float(phi)):
            return AR1(phi)
        case schema.TimeTable(period=list(starts)):
            return Period(tuple(starts))
    raise AssertionError(asked)
