"""What a configuration asks beyond a verdict on every change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RealVariability:
    """A scenario of how footprints truly scatter from year to year about a steady trend.

    Attributes:
        sd: standard deviation of ln F, a fraction: 0.02 is about 2 %.
        phi: correlation of one year's deviation with the next year's.
        source: where that comes from, or "assumption".
    """

    sd: float
    phi: float
    source: str


@dataclass(frozen=True, slots=True)
class Trend:
    """What is asked of declines.

    Attributes:
        declines: steady falls, in percent a year, of which it is told how long they take to show.
        real_variability: scenarios beside the one of measurement error alone.
    """

    declines: tuple[float, ...] = (2.0, 3.0, 5.0)
    real_variability: tuple[RealVariability, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """Changes that are judged together.

    Attributes:
        name: how it is called.
        pairs: of years: `consecutive`, `from the first`, `all` or `whole` (the first with the
            last).
        over: what it gathers beside years, of `consumers`, `stressors` and `parts`; a family of
            its own for each one that is not named. Without parts it is of totals.
    """

    name: str
    pairs: str = "consecutive"
    over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PriorRatio:
    """What was believed of the true ratio of the target year to the base, before the estimate.

    Attributes:
        mean, sd: of the ratio, whose law is lognormal.
        source: where they come from.
    """

    mean: float
    sd: float
    source: str


@dataclass(frozen=True, slots=True)
class Target:
    """A footprint of at most a share of what it was.

    Attributes:
        name: how it is called in every result.
        year: the year it is to be met in, one of the run.
        base_years: the years over which the base is averaged, of the run.
        share: what it may be, of the base: 0.45 for a reduction by 55 %.
        source: where the target stands.
        stressors, consumers: whose footprints it is for; empty for all of them.
        prior: needed for consumer's and producer's risk; None where none is stated.
    """

    name: str
    year: int
    base_years: tuple[int, ...]
    share: float
    source: str
    stressors: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    prior: PriorRatio | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A change that is asked about: from one year of the run to a later one."""

    from_year: int
    to_year: int


@dataclass(frozen=True, slots=True)
class Output:
    """A consumer's real gross domestic product in one year.

    Attributes:
        gdp: in constant prices, in any unit.
        rsd: its relative standard deviation.
    """

    consumer: str
    year: int
    gdp: float
    rsd: float


@dataclass(frozen=True, slots=True)
class Decoupling:
    """Emissions against output.

    Attributes:
        span: the change asked about.
        output: real GDP by consumer and year.
        correlation: of the errors of ln GDP in any two years.
        source: where GDP and its error come from.
    """

    span: Span
    output: tuple[Output, ...]
    correlation: float
    source: str


@dataclass(frozen=True, slots=True)
class Published:
    """One database's, or one release's, footprint of one consumer and stressor in one year."""

    database: str
    consumer: str
    stressor: str
    year: int
    footprint: float


@dataclass(frozen=True, slots=True)
class BetweenDatabases:
    """What several databases say of the same footprints.

    Attributes:
        footprints: in any unit, the same for all databases of a consumer and stressor.
        source: where they come from.
    """

    footprints: tuple[Published, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of ensembles; it changes no draw, and a run remembers it beside them.

    Attributes:
        families: which changes are judged together.
        equivalence: sizes of change, in percent, of which it is told whether none was larger.
    """

    trend: Trend = Trend()
    families: tuple[Family, ...] = (Family("consecutive years"),)
    equivalence: tuple[float, ...] = ()
    targets: tuple[Target, ...] = ()
    offset: Span | None = None
    decoupling: Decoupling | None = None
    between_databases: BetweenDatabases | None = None
