"""The tables and keys of the TOML file, and the types of their values."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, model_validator

from engine.plan import GROUP
from engine.prepare import TOLERANCE

Filled = TypeVar("Filled", list[str], list[int], list[float], dict[str, float], dict[str, str])


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
_BaseYears = Annotated[list[int], AfterValidator(_filled)]


class Years(_Section):
    first: int
    last: int


class Aggregation(_Section):
    regions: str | None = None
    sectors: str | None = None
    stressors: str | None = None

    @model_validator(mode="after")
    def _at_least_one(self) -> Self:
        if self.regions is self.sectors is self.stressors is None:
            raise ValueError("give a map of `regions`, `sectors` or `stressors`")
        return self


class Tables(BaseModel):
    """The reader and the years; what else there is belongs to the reader."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    reader: Literal[
        "toy", "arrays", "eora26", "exiobase3", "figaro", "gloria", "icio", "pymrio", "wiod"
    ]
    years: Years | list[int]
    aggregation: Aggregation | None = None


class Group(_Section):
    members: _Names | None = None
    standard: str | None = None
    codes: Literal["iso3", "iso2"] = "iso3"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.members is None) == (self.standard is None):
            raise ValueError("give either `members` or `standard`")
        return self


class Purchases(_Section):
    file: str
    home: _Names


class Indicator(_Section):
    unit: str
    weights: Annotated[dict[str, float], AfterValidator(_filled)]
    source: str


class Attribution(_Section):
    by_origin: bool | list[str] = False
    by_industry: bool | list[str] = False
    by_product: bool | list[str] = False


class Question(_Section):
    consumers: list[str]
    stressors: list[str]
    parts: list[Literal["total", "domestic", "foreign", "direct"]] = [
        "total",
        "domestic",
        "foreign",
        "direct",
    ]
    attribution: Attribution = Attribution()


class Method(_Section):
    perturb: Literal["accounts", "coefficients"]
    r_max: float = 0.99
    tolerance: float = TOLERANCE
    rebalance: Literal["ras"] | None = None


class Split(_Section):
    variance: float = 0.999
    order: int = 3
    exact_draws: int = 2 * GROUP


class Sampling(_Section):
    seed: int
    draws: int
    block: int = 4 * GROUP


class Detection(_Section):
    confidence: float = 0.95
    power: float = 0.80
    equivalence: float | list[float] = []


class Family(_Section):
    pairs: Literal["consecutive", "from the first", "all", "whole"] = "consecutive"
    over: list[Literal["consumers", "stressors", "parts"]] = []


class RealVariability(_Section):
    sd: float
    phi: float = 0.0
    source: str


class Trend(_Section):
    declines: Annotated[list[float], AfterValidator(_filled)] = [2.0, 3.0, 5.0]
    real_variability: list[RealVariability] = []


class Prior(_Section):
    mean: float
    sd: float
    source: str


class Target(_Section):
    name: str
    year: int
    base_year: int | None = None
    base_years: _BaseYears | None = None
    share: float | None = None
    reduction: float | None = None
    source: str
    stressors: list[str] = []
    consumers: list[str] = []
    prior: Prior | None = None

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        for one, other in (("base_year", "base_years"), ("share", "reduction")):
            if (getattr(self, one) is None) == (getattr(self, other) is None):
                raise ValueError(f"give either `{one}` or `{other}`")
        return self


class Offset(_Section):
    from_year: int | None = None
    to_year: int | None = None


class Decoupling(_Section):
    gdp: str
    rsd: float | None = None
    correlation: float
    source: str
    from_year: int | None = None
    to_year: int | None = None


class BetweenDatabases(_Section):
    file: str
    source: str


class Cluster(_Section):
    profile: str | None = None
    executor: Literal["serial", "threads", "processes"] = "threads"
    workers: int | None = None
    dashboard: bool = True

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.profile is not None and len(self.model_fields_set) > 1:
            raise ValueError("give either `profile` or keys of its own")
        return self


class LocalProfile(_Section):
    system: Literal["local"]
    executor: Literal["serial", "threads", "processes"] = "threads"
    workers: int | None = None
    dashboard: bool = True


class AddressProfile(_Section):
    system: Literal["address"]
    address: str
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    workers: int = 1


class Controller(_Section):
    walltime: str | None = None
    cores: int = 1
    memory: str | None = None
    queue: str | None = None
    grace: int = 120
    restarts: int = 20


class BatchProfile(_Section):
    system: Literal["slurm", "pbs", "lsf", "sge"]
    workers: int = 1
    cores: int | None = None
    memory: str | None = None
    walltime: str | None = None
    queue: str | None = None
    account: str | None = None
    interface: str | None = None
    local_directory: str | None = None
    directives: list[str] = []
    prologue: list[str] = []
    python: str | None = None
    encrypted: bool = True
    controller: Controller = Controller()


class AllocationProfile(_Section):
    system: Literal["slurm allocation"]
    workers: int
    cores: int = 1
    memory: str | None = None
    walltime: str | None = None
    queue: str | None = None
    account: str | None = None
    interface: str | None = None
    local_directory: str | None = None
    directives: list[str] = []
    prologue: list[str] = []
    python: str | None = None
    encrypted: bool = True
    grace: int = 120
    restarts: int = 20


class KubernetesProfile(_Section):
    system: Literal["kubernetes"]
    name: str
    image: str
    namespace: str = "default"
    workers: int = 1
    cores: int = 1
    memory: str = "4Gi"
    volume: str | None = None
    mount: str = "/runs"


class GatewayProfile(_Section):
    system: Literal["gateway"]
    address: str
    workers: int = 1
    options: dict[str, str | int | float] = {}


class Profile(
    RootModel[
        Annotated[
            LocalProfile
            | AddressProfile
            | BatchProfile
            | AllocationProfile
            | KubernetesProfile
            | GatewayProfile,
            Field(discriminator="system"),
        ]
    ]
):
    """A file of configs/clusters."""


class PowerLaw(_Section):
    a: float
    b: float
    floor: float
    ceiling: float
    currency: str
    per_table_unit: float | dict[str, float]


class TimeTable(_Section):
    ar1: float | None = None
    period: list[int] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ar1 is None) == (self.period is None):
            raise ValueError("give either `ar1` or `period`")
        return self


class Component(_Section):
    name: str
    weight: float
    group: str | list[str]
    time: Literal["persistent", "yearly"] | TimeTable
    shared_with: str | None = None


class Schulte2024(_Section):
    name: Literal["schulte2024"]
    gases: Annotated[dict[str, str], AfterValidator(_filled)]


class Netherlands2000(_Section):
    name: Literal["netherlands2000"]
    gas: Literal["CO2", "CH4", "N2O", "CO2e"]
    ratio: float
    time: Literal["lasting and yearly", "ar1"]
    others: Literal["exact"] | None = None
    shared_with: Literal["E", "s"] | None = None


class Edgar2015(_Section):
    name: Literal["edgar2015"]
    file: str
    gases: Annotated[dict[str, str], AfterValidator(_filled)]
    correlation: float
    countries: str | None = None
    sectors: str | None = None


class Lenzen2010(_Section):
    name: Literal["lenzen2010"]
    floor: float
    ceiling: float
    per_table_unit: float | dict[str, float]


class Factors(_Section):
    file: str
    rescale: bool = False


class Errors(_Section):
    quantity: Literal["Z", "E", "A", "s", "Y", "F_Y", "purchases"]
    only: dict[str, list[str]] = {}
    rsd: float | None = None
    power_law: PowerLaw | None = None
    table: str | None = None
    file: str | None = None
    preset: (
        Annotated[
            Schulte2024 | Netherlands2000 | Edgar2015 | Lenzen2010, Field(discriminator="name")
        ]
        | None
    ) = None
    factors: Factors | None = None
    law: Literal["lognormal", "truncated normal", "gamma"] | None = None
    provisional: dict[str, float] = {}
    components: list[Component] | None = None
    source: str | None = None


class TotalComponent(_Section):
    name: str
    weight: float
    group: str | list[str]
    time: Literal["persistent", "yearly"] | TimeTable


class KnownTotals(_Section):
    quantities: list[Literal["E", "s", "F_Y"]]
    only: dict[str, list[str]] = {}
    by: list[str]
    rsd: float | None = None
    table: str | None = None
    preset: Annotated[Schulte2024 | Netherlands2000, Field(discriminator="name")] | None = None
    totals: str | None = None
    rescale: bool = False
    shares: Literal["dirichlet"] | None = None
    concentration: float | None = None
    provisional: dict[str, float] = {}
    components: list[TotalComponent] | None = None
    source: str | None = None


class Scenario(_Section):
    errors: list[Errors]
    known_totals: list[KnownTotals] = []


class File(_Section):
    title: str
    names: dict[str, str] = {}
    tables: Tables
    question: Question
    groups: dict[str, Group] = {}
    purchases: dict[str, Purchases] = {}
    indicators: dict[str, Indicator] = {}
    method: Method
    split: Split | None = None
    sampling: Sampling
    detection: Detection = Detection()
    trend: Trend = Trend()
    families: dict[str, Family] = {}
    targets: list[Target] = []
    offset: Offset | None = None
    decoupling: Decoupling | None = None
    between_databases: BetweenDatabases | None = None
    cluster: Cluster = Cluster()
    scenarios: dict[str, Scenario]
