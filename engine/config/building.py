"""A checked file to the specs of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.analysis import Asked
from engine.clusters import ClusterSpec, Executor, Profile
from engine.config import schema, tables
from engine.config.asked import asked
from engine.config.names import names
from engine.config.paths import resolved
from engine.config.profiles import read_profile
from engine.config.question import question, refuse_shadowed_names
from engine.config.scenarios import check_scenario_names, errors
from engine.config.totals import known_totals
from engine.error_model import (
    ErrorModel,
    Method,
    Rebalance,
    of_dirichlet_shares,
    refuse_more_draws,
)
from engine.errors import ConfigError, within
from engine.kernels.changes import DetectionRule
from engine.plan import GROUP, SamplingPlan, whole_blocks
from engine.question import Question
from engine.readers import Source
from engine.split import Keep, refuse_other_laws, refuse_rebalancing

MOST_DRAWS = 2**31  # a draw's number is one 32-bit word of its counter
LARGEST_R_MAX = 0.9999  # nearer to one, rounding leaves the certificate no room


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a run needs, each part for the function that needs it.

    Attributes:
        path: the file it was read from.
        title: what the user calls the run.
        names: what codes are called on the page; no part of what a run is.
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
        asked: what is asked beyond verdicts.
        cluster: where to run.
        profile: the file of a cluster profile that says so, if one does.
    """

    path: Path
    title: str
    names: Mapping[str, str]
    tables: Source
    question: Question
    scenarios: tuple[ErrorModel, ...]
    r_max: float
    tolerance: float
    keep: Keep | None
    sampling: SamplingPlan
    draws_asked: int
    detection: DetectionRule
    asked: Asked
    cluster: Profile
    profile: Path | None

    @property
    def name(self) -> str:
        """The file's name without its ending; names the run folder by default."""
        return self.path.stem

    @property
    def errors(self) -> ErrorModel:
        """The error model of the first scenario."""
        return self.scenarios[0]


def config(file: schema.File, path: Path) -> Config:
    years = tables.years(file.tables.years)
    check_scenario_names(file.scenarios)
    refuse_shadowed_names(file)
    scenarios = tuple(
        _scenario(name, scenario, file.method, path, years)
        for name, scenario in file.scenarios.items()
    )
    if not scenarios:
        raise ConfigError(
            "there is no scenario", where="scenarios", remedy="describe at least one error model"
        )
    sampling = _sampling(file.sampling, years)
    for model in scenarios:
        refuse_more_draws(model, sampling.draws)
        if file.split is not None:
            refuse_other_laws(model)
            refuse_rebalancing(model)
    whose = question(file, path)
    named = file.cluster.profile
    profile = None if named is None else resolved(named, path, "cluster.profile")
    return Config(
        path=path,
        title=file.title,
        names=names(file.names, path),
        tables=tables.source(file.tables, path),
        question=whose,
        scenarios=scenarios,
        r_max=_r_max(file.method.r_max),
        tolerance=_within(file.method.tolerance, 9.9e-10, 1e-3, "method.tolerance"),
        keep=None if file.split is None else _keep(file.split),
        sampling=sampling,
        draws_asked=file.sampling.draws,
        detection=DetectionRule(
            confidence=_within(file.detection.confidence, 0.5, 1, "detection.confidence"),
            power=_within(file.detection.power, 0, 1, "detection.power"),
        ),
        asked=asked(file, path, years, whose),
        cluster=_cluster(file.cluster, profile),
        profile=profile,
    )


def _cluster(cluster: schema.Cluster, profile: Path | None) -> Profile:
    if profile is not None:
        return read_profile(profile)
    return ClusterSpec(Executor(cluster.executor), cluster.workers, cluster.dashboard)


def _scenario(
    name: str, scenario: schema.Scenario, method: schema.Method, path: Path, years: tuple[int, ...]
) -> ErrorModel:
    with within(f"scenario {name}"):
        totals = tuple(known_totals(entry, path) for entry in scenario.known_totals)
        shares = of_dirichlet_shares(totals)
        return ErrorModel(
            name,
            Method(method.perturb),
            tuple(errors(entry, path, years, shares) for entry in scenario.errors),
            totals,
            None if method.rebalance is None else Rebalance(method.rebalance),
        )


def _r_max(value: float) -> float:
    if 0 < value <= LARGEST_R_MAX:
        return value
    raise ConfigError(
        f"{value:g} is not a radius that can be certified",
        where="method.r_max",
        remedy=f"give a number above 0 and at most {LARGEST_R_MAX}",
    )


def _keep(split: schema.Split) -> Keep:
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


def _sampling(asked: schema.Sampling, years: tuple[int, ...]) -> SamplingPlan:
    if not 0 < asked.draws < MOST_DRAWS:
        raise ConfigError(
            f"{asked.draws} draws cannot be made",
            where="sampling.draws",
            remedy=f"ask for 1 to {MOST_DRAWS - 1}",
        )
    draws = whole_blocks(asked.draws, asked.block) if asked.block > 0 else asked.draws
    return SamplingPlan(asked.seed, draws, years, asked.block)
