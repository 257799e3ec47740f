"""A TOML file to frozen, typed specs. Nothing else in footfall knows what a configuration is.

Unknown keys are refused with the nearest known one named; values are never coerced ("0.3" is not
a number); paths are relative to the file that names them, and `${NAME}` in a path is an
environment variable.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from engine.clusters import ClusterSpec, Executor
from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    Errors,
    ErrorSize,
    FromFile,
    Method,
    Period,
    Persistent,
    PowerLaw,
    Quantity,
    TimeKey,
    Yearly,
    check_size,
)
from engine.errors import ConfigError
from engine.kernels.changes import DetectionRule
from engine.plan import GROUP, SamplingPlan, whole_blocks
from engine.prepare import TOLERANCE
from engine.question import PARTS, Consumer, Indicator, Question
from engine.readers import Arrays, Pymrio, Source, Toy
from engine.readers.groups import STANDARD_GROUPS
from engine.readers.purchases import read_purchases
from engine.readers.sizes import read_size_table
from engine.split import Keep

MOST_DRAWS = 2**31  # a draw's number is one 32-bit word of its counter
LARGEST_R_MAX = 0.9999  # nearer to one, rounding leaves the certificate no room

# A scenario is a folder beside `run.json` and `report-<scenario>`, on Windows too.
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TAKEN_NAME = re.compile(
    r"report.*|run\.json|.*\.|(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE
)

Filled = TypeVar("Filled", list[str], dict[str, float])


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a run needs, each part for the function that needs it.

    Attributes:
        path: the file it was read from.
        title: what the user calls the run.
        tables: where the tables come from.
        question: whose footprint, of what, in which parts; the unit of a plain stressor is empty
            until a table has told it (`engine.question.with_units`).
        scenarios: error models, the first one first in every result.
        r_max: largest spectral radius accepted.
        tolerance: largest certified relative error of a footprint accepted.
        keep: what split mode keeps; None where every draw is exact.
        sampling: seed, draws (rounded up to whole blocks) and block.
        draws_asked: the number of draws before rounding.
        detection: confidence and power of verdicts.
        cluster: where to run.
    """

    path: Path
    title: str
    tables: Source
    question: Question
    scenarios: tuple[ErrorModel, ...]
    r_max: float
    tolerance: float
    keep: Keep | None
    sampling: SamplingPlan
    draws_asked: int
    detection: DetectionRule
    cluster: ClusterSpec

    @property
    def name(self) -> str:
        """The file's name without its ending; names the run folder by default."""
        return self.path.stem

    @property
    def errors(self) -> ErrorModel:
        """The error model of the first scenario."""
        return self.scenarios[0]


class _Section(BaseModel):
    """A table of the TOML file: no unknown keys, no coercion, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        for key in values:
            if key not in cls.model_fields:
                near = get_close_matches(key, cls.model_fields, n=1, cutoff=0.5)
                hint = (
                    f"did you mean `{near[0]}`?"
                    if near
                    else f"known: {', '.join(cls.model_fields)}"
                )
                raise ValueError(f"unknown key `{key}`; {hint}")
        return values


def _filled(value: Filled) -> Filled:
    if not value:
        raise ValueError("is empty")
    return value


_Names = Annotated[list[str], AfterValidator(_filled)]


class _Years(_Section):
    first: int
    last: int


class _Tables(BaseModel):
    """The reader and the years; what else there is belongs to the reader."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    reader: Literal["toy", "arrays", "pymrio"]
    years: _Years | list[int]


class _Group(_Section):
    members: _Names | None = None
    standard: str | None = None
    codes: Literal["iso3", "iso2"] = "iso3"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.members is None) == (self.standard is None):
            raise ValueError("give either `members` or `standard`")
        return self


class _Purchases(_Section):
    file: str
    home: _Names


class _Indicator(_Section):
    unit: str
    weights: Annotated[dict[str, float], AfterValidator(_filled)]
    source: str


class _Attribution(_Section):
    by_origin: bool | list[str] = False
    by_industry: bool | list[str] = False


class _Question(_Section):
    consumers: list[str]
    stressors: list[str]
    parts: list[Literal["total", "domestic", "foreign", "direct"]] = [
        "total",
        "domestic",
        "foreign",
        "direct",
    ]
    attribution: _Attribution = _Attribution()


class _Method(_Section):
    perturb: Literal["accounts", "coefficients"]
    r_max: float = 0.99
    tolerance: float = TOLERANCE


class _Split(_Section):
    variance: float = 0.999
    order: int = 3
    exact_draws: int = 2 * GROUP


class _Sampling(_Section):
    seed: int
    draws: int
    block: int = 4 * GROUP


class _Detection(_Section):
    confidence: float = 0.95
    power: float = 0.80


class _Cluster(_Section):
    executor: Literal["serial", "threads", "processes"] = "threads"
    workers: int | None = None
    dashboard: bool = True


class _PowerLaw(_Section):
    a: float
    b: float
    floor: float
    ceiling: float
    currency: str
    per_table_unit: float | dict[str, float]


class _TimeTable(_Section):
    ar1: float | None = None
    period: list[int] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ar1 is None) == (self.period is None):
            raise ValueError("give either `ar1` or `period`")
        return self


class _Component(_Section):
    name: str
    weight: float
    group: str | list[str]
    time: Literal["persistent", "yearly"] | _TimeTable
    shared_with: str | None = None


class _Errors(_Section):
    quantity: Literal["Z", "E", "A", "s", "Y", "F_Y", "purchases"]
    only: dict[str, list[str]] = {}
    rsd: float | None = None
    power_law: _PowerLaw | None = None
    table: str | None = None
    file: str | None = None
    components: list[_Component]
    source: str


class _Scenario(_Section):
    errors: list[_Errors]
    known_totals: list[dict[str, Any]] = []


class _File(_Section):
    title: str
    tables: _Tables
    question: _Question
    groups: dict[str, _Group] = {}
    purchases: dict[str, _Purchases] = {}
    indicators: dict[str, _Indicator] = {}
    method: _Method
    split: _Split | None = None
    sampling: _Sampling
    detection: _Detection = _Detection()
    cluster: _Cluster = _Cluster()
    scenarios: dict[str, _Scenario]


# --- reading ------------------------------------------------------------------------------------


def load_config(path: str | Path) -> Config:
    """Read and check a configuration; files it names (error sizes, purchases) are read too.

    Raises:
        ConfigError: naming the file, the key, what is wrong with it and what to do.
        TableError: a CSV file it names is malformed.
    """
    path = Path(path)
    try:
        return _config(_checked(path, _parsed(path)), path)
    except ConfigError as error:
        if str(path) in error.where:
            raise
        where = f"{path}, {error.where}" if error.where else str(path)
        raise type(error)(error.what, where=where, remedy=error.remedy) from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*.toml")], n=1)
        hint = f"did you mean {path.parent / near[0]}?" if near else "give the path of a TOML file"
        raise ConfigError("there is no such file", where=str(path), remedy=hint) from None
    except IsADirectoryError:
        raise ConfigError(
            "is a folder", where=str(path), remedy="name the configuration, a TOML file"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot be read as UTF-8 text ({error})", where=str(path), remedy="save it as UTF-8"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"is not valid TOML: {error}", where=str(path), remedy="mend the line named"
        ) from error


def _checked(path: Path, content: dict[str, Any]) -> _File:
    try:
        # Through JSON, because there a list may become a tuple while "3" stays a string.
        return _File.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise _explained(error, str(path)) from error


_CHOICES = {
    "time": "choose how errors correlate between years, there is no default: "
    '"persistent", "yearly", { ar1 = 0.9 } or { period = [2000, 2005] }',
    "source": 'cite where the numbers come from, or write source = "assumption"',
    "by_origin": 'write true for every consumer, or list some, such as ["NLD"]',
    "by_industry": 'list one consumer or a few, such as ["NLD"], or write true for all',
    "seed": "any whole number; it makes the run reproducible",
    "members": "list one region or more",
    "home": "list one region or more: an origin there is domestic",
    "weights": "give each stressor its factor, such as { CO2 = 1.0, CH4 = 28.0 }",
}


def _explained(error: ValidationError, where: str) -> ConfigError:
    """The first of pydantic's complaints, with the others counted and listed after it."""
    complaints = []
    # Of a union's branches, the one that understood the value best speaks first.
    for item in sorted(error.errors(), key=lambda item: item["type"] != "value_error"):
        # Branches of a union show in `loc` as class names; a reader of TOML has no use for them.
        place = ".".join(str(part) for part in item["loc"] if not _is_branch(part))
        complaints.append((place, item["msg"].removeprefix("Value error, ")))
    first, message = complaints[0]
    others = "; ".join(f"{place}: {text}" for place, text in complaints[1:5] if place != first)
    key = first.rpartition(".")[2]
    remedy = _CHOICES.get(key, "correct the value")
    return ConfigError(
        message + (f" (also {others})" if others else ""),
        where=f"{where}, {first}" if first else where,
        remedy="use a key that exists" if "unknown key" in message else remedy,
    )


def _is_branch(part: object) -> bool:
    return isinstance(part, str) and (part.startswith("_") or "[" in part or part in _BRANCHES)


_BRANCHES = ("int", "float", "str", "bool")


# --- building the specs -------------------------------------------------------------------------


def _config(file: _File, path: Path) -> Config:
    years = _years(file.tables.years)
    _check_scenario_names(file.scenarios)
    _refuse_shadowed_names(file)
    for name, scenario in file.scenarios.items():
        if scenario.known_totals:
            raise ConfigError(
                "known totals have their place here but cannot be drawn yet",
                where=f"scenarios.{name}.known_totals",
                remedy="leave them out, and state the sectors' own errors with shared components",
            )
    method = Method(file.method.perturb)
    scenarios = tuple(
        ErrorModel(name, method, tuple(_errors(entry, path) for entry in scenario.errors))
        for name, scenario in file.scenarios.items()
    )
    if not scenarios:
        raise ConfigError(
            "there is no scenario", where="scenarios", remedy="describe at least one error model"
        )
    return Config(
        path=path,
        title=file.title,
        tables=_source(file.tables, path),
        question=_question(file, path),
        scenarios=scenarios,
        r_max=_r_max(file.method.r_max),
        tolerance=_within(file.method.tolerance, 9.9e-10, 1e-3, "method.tolerance"),
        keep=None if file.split is None else _keep(file.split),
        sampling=_sampling(file.sampling, years),
        draws_asked=file.sampling.draws,
        detection=DetectionRule(
            confidence=_within(file.detection.confidence, 0.5, 1, "detection.confidence"),
            power=_within(file.detection.power, 0, 1, "detection.power"),
        ),
        cluster=ClusterSpec(
            Executor(file.cluster.executor), file.cluster.workers, file.cluster.dashboard
        ),
    )


def _check_scenario_names(scenarios: Mapping[str, _Scenario]) -> None:
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


def _refuse_shadowed_names(file: _File) -> None:
    named: dict[str, Iterable[str]] = {
        "groups": file.groups,
        "purchases": file.purchases,
        "indicators": file.indicators,
    }
    places: dict[str, str] = {}
    for section, names in named.items():
        for name in names:
            if name in places:
                raise ConfigError(
                    f"`{name}` is already the name of an entry of [{places[name]}]",
                    where=f"{section}.{name}",
                    remedy="give each a name of its own",
                )
            places[name] = section


def _r_max(value: float) -> float:
    if 0 < value <= LARGEST_R_MAX:
        return value
    raise ConfigError(
        f"{value:g} is not a radius that can be certified",
        where="method.r_max",
        remedy=f"give a number above 0 and at most {LARGEST_R_MAX}",
    )


def _keep(split: _Split) -> Keep:
    if split.order < 3:
        raise ConfigError(
            f"{split.order} terms are too few for a change's error to be small",
            where="split.order",
            remedy="use 3 or more",
        )
    if split.exact_draws <= 0 or split.exact_draws % GROUP:
        raise ConfigError(
            f"{split.exact_draws} exact draws are not a whole number of groups of {GROUP}",
            where="split.exact_draws",
            remedy=f"use a multiple of {GROUP}: they measure the error of all the others",
        )
    share = _within(split.variance, 0.5, 1, "split.variance")
    return Keep(share=share, order=split.order, exact_draws=split.exact_draws)


def _within(value: float, low: float, high: float, where: str) -> float:
    if low < value < high:
        return value
    raise ConfigError(
        f"{value:g} is not between {low:g} and {high:g}", where=where, remedy="give a fraction"
    )


def _years(asked: _Years | list[int]) -> tuple[int, ...]:
    years = tuple(asked) if isinstance(asked, list) else tuple(range(asked.first, asked.last + 1))
    if not years or list(years) != sorted(set(years)):
        raise ConfigError(
            f"the years {list(years)} are not ascending, each named once",
            where="tables.years",
            remedy="list them in order, such as [2000, 2005], or { first = 2000, last = 2005 }",
        )
    return years


def _sampling(asked: _Sampling, years: tuple[int, ...]) -> SamplingPlan:
    if not 0 < asked.draws < MOST_DRAWS:
        raise ConfigError(
            f"{asked.draws} draws cannot be made",
            where="sampling.draws",
            remedy=f"ask for 1 to {MOST_DRAWS - 1}",
        )
    draws = whole_blocks(asked.draws, asked.block) if asked.block > 0 else asked.draws
    return SamplingPlan(asked.seed, draws, years, asked.block)


_READERS: Mapping[str, type[Source]] = {"toy": Toy, "arrays": Arrays, "pymrio": Pymrio}


def _source(tables: _Tables, path: Path) -> Source:
    """The reader's own spec: its fields are the keys, its types the check."""
    reader = _READERS[tables.reader]
    given = dict(tables.model_extra or {})
    known = {field.name: str(field.type) for field in dataclasses.fields(reader)}
    for key, value in given.items():
        if key not in known:
            near = get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known)}"
            raise ConfigError(
                f"the reader `{tables.reader}` has no key `{key}`; {hint}",
                where=f"tables.{key}",
                remedy="use a key that exists",
            )
        if "Path" in known[key] and isinstance(value, str):
            given[key] = str(_resolved(value, path, f"tables.{key}"))
    try:
        spec: Source = TypeAdapter(reader).validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        raise _explained(error, f"{path}, tables") from error
    return spec


def _resolved(text: str, config: Path, where: str) -> Path:
    """A path as the configuration means it: variables filled in, relative to its own folder."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ConfigError(
                f"the environment variable {name} is not set",
                where=where,
                remedy=f"export {name}=/the/folder/that/holds/the/data",
            )
        return os.environ[name]

    expanded = Path(re.sub(r"\$\{(\w+)\}", value, text)).expanduser()
    return expanded if expanded.is_absolute() else config.parent / expanded


def _question(file: _File, path: Path) -> Question:
    asked = file.question
    for what, names in (("consumers", asked.consumers), ("stressors", asked.stressors)):
        if not names or len(set(names)) != len(names):
            raise ConfigError(
                f"{names} does not name each of one or more {what} once",
                where=f"question.{what}",
                remedy="list every name once",
            )
    parts = ("total", *(part for part in PARTS[1:] if part in asked.parts))
    told = asked.attribution
    return Question(
        consumers=tuple(_consumer(name, file, path) for name in asked.consumers),
        indicators=tuple(_indicator(name, file) for name in asked.stressors),
        parts=parts,
        by_origin=_asked_of(told.by_origin, asked.consumers),
        by_industry=_asked_of(told.by_industry, asked.consumers),
    )


def _asked_of(chosen: bool | list[str], consumers: list[str]) -> tuple[str, ...]:
    """The consumers chosen: all, none, or those named."""
    if isinstance(chosen, bool):
        return tuple(consumers) if chosen else ()
    return tuple(chosen)


def _consumer(name: str, file: _File, path: Path) -> Consumer:
    if name in file.purchases:
        bought = file.purchases[name]
        csv = _resolved(bought.file, path, f"purchases.{name}.file")
        return Consumer(name, tuple(bought.home), read_purchases(csv))
    if name in file.groups:
        group = file.groups[name]
        members = group.members or _standard(group.standard or name, group.codes)
        return Consumer(name, tuple(members))
    if name in STANDARD_GROUPS["iso3"]:
        return Consumer(name, _standard(name, "iso3"))
    return Consumer(name, (name,))


def _standard(name: str, codes: str) -> tuple[str, ...]:
    if name not in STANDARD_GROUPS[codes]:
        raise ConfigError(
            f"there is no standard group `{name}`",
            where="groups",
            remedy=f"known: {', '.join(STANDARD_GROUPS[codes])}; or list `members` yourself",
        )
    return STANDARD_GROUPS[codes][name]


def _indicator(name: str, file: _File) -> Indicator:
    if name not in file.indicators:
        return Indicator(name, "", {name: 1.0})
    asked = file.indicators[name]
    if not asked.source.strip():
        raise ConfigError(
            "no source is stated for the weights",
            where=f"indicators.{name}.source",
            remedy=_CHOICES["source"],
        )
    return Indicator(name, asked.unit, asked.weights, asked.source)


def _errors(entry: _Errors, path: Path) -> Errors:
    return Errors(
        quantity=Quantity(entry.quantity),
        only={key: tuple(names) for key, names in entry.only.items()},
        size=_size(entry, path),
        components=tuple(_component(component) for component in entry.components),
        source=entry.source,
    )


def _size(entry: _Errors, path: Path) -> ErrorSize:
    where = f"scenarios, errors of {entry.quantity}"
    given = [
        key for key in ("rsd", "power_law", "table", "file") if getattr(entry, key) is not None
    ]
    if len(given) != 1:
        raise ConfigError(
            f"the size of the error is given {len(given)} times",
            where=where,
            remedy="give exactly one of `rsd`, `power_law`, `table` (CSV) and `file` (.npy)",
        )
    if entry.rsd is not None:
        return Constant(entry.rsd)
    if entry.power_law is not None:
        return _power_law(entry.power_law, where)
    if entry.table is not None:
        csv = _resolved(entry.table, path, f"{where}, table")
        table = read_size_table(csv)
        sizes = ByLabel(table.keys, table.rsd, table.unmet)
        check_size(sizes, Quantity(entry.quantity), f"{where}, table {csv}")
        return sizes
    file = _resolved(entry.file or "", path, f"{where}, file")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot be read ({error})", where=f"{where}, file", remedy="give a .npy file"
        ) from error
    return FromFile(file, hashlib.sha256(content).hexdigest())


def _power_law(law: _PowerLaw, where: str) -> PowerLaw:
    rate = law.per_table_unit
    try:
        conversion = rate if isinstance(rate, float) else {int(y): v for y, v in rate.items()}
    except ValueError:
        raise ConfigError(
            "the keys of `per_table_unit` are not years",
            where=f"{where}, power_law",
            remedy='write per_table_unit = { "2000" = 0.66, "2001" = 0.69 }',
        ) from None
    return PowerLaw(law.a, law.b, law.floor, law.ceiling, law.currency, conversion)


def _component(component: _Component) -> Component:
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
        time=_time(component.time),
        shared_with=shared,
    )


def _time(asked: str | _TimeTable) -> TimeKey:
    match asked:
        case "persistent":
            return Persistent()
        case "yearly":
            return Yearly()
        case _TimeTable(ar1=float(phi)):
            return AR1(phi)
        case _TimeTable(period=list(starts)):
            return Period(tuple(starts))
    raise AssertionError(asked)
