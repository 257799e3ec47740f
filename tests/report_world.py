"""A small made-up ensemble to report on, with errors and correlations that a test can choose."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from engine.analysis import changes, levels
from engine.kernels.changes import DetectionRule
from engine.report import Assumption, Other, Subject

PARTS = ("total", "domestic", "foreign", "direct")
SHARES = (0.38, 0.45, 0.17)  # of domestic, foreign and direct in the total


@dataclass(frozen=True)
class World:
    """What the ensemble holds.

    Attributes:
        path: the point estimates of the first consumer and stressor, one a year.
        s: relative standard deviation of every part.
        rho: correlation of the errors between successive years, exponentially decaying.
        rejected: share of draws rejected in the last year.
        shift: subtracted from every draw, so that some are not positive.
    """

    years: tuple[int, ...] = (2000, 2001, 2002, 2003, 2004, 2005)
    path: tuple[float, ...] = (187.2, 190.4, 193.9, 205.6, 203.1, 198.5)
    consumers: tuple[str, ...] = ("NLD",)
    stressors: tuple[str, ...] = ("CO2",)
    parts: tuple[str, ...] = PARTS
    s: float = 0.05
    rho: float = 0.85
    draws: int = 2048
    rejected: float = 0.0
    shift: float = 0.0
    synthetic: bool = True
    method: str = "accounts"
    seed: int = 20
    source: str = ""


def ensemble(world: World) -> xr.Dataset:
    """Lognormal parts with AR(1) errors over years; the total is their sum."""
    rng = np.random.default_rng(world.seed)
    shape = (world.draws, len(world.stressors), len(world.consumers), 3)
    scale = 1 + 0.6 * np.arange(len(world.stressors))[:, None] + np.arange(len(world.consumers))
    sigma = np.sqrt(np.log1p(world.s**2))
    error, footprint, reference = rng.standard_normal(shape), [], []
    for value in world.path:
        base = value * scale[..., None] * np.array(SHARES)
        drawn = base * np.exp(sigma * error - sigma**2 / 2)
        footprint.append(_with_total(drawn) - world.shift)
        reference.append(_with_total(base) - world.shift)
        fresh = rng.standard_normal(shape)
        error = world.rho * error + np.sqrt(1 - world.rho**2) * fresh
    keep = [PARTS.index(part) for part in world.parts]
    return _labelled(world, np.stack(footprint, axis=1)[..., keep], np.stack(reference)[..., keep])


def _with_total(parts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.concatenate([parts.sum(axis=-1, keepdims=True), parts], axis=-1)


def _labelled(
    world: World, footprint: np.ndarray[Any, Any], reference: np.ndarray[Any, Any]
) -> xr.Dataset:
    status = np.zeros((world.draws, len(world.years)), dtype=np.uint8)
    status[: round(world.rejected * world.draws), -1] = 1
    draw = np.arange(status.size).reshape(status.shape)
    accepted = np.where((status == 0)[..., None, None, None], footprint, np.nan)
    cell, per_draw = ("stressor", "consumer", "part"), ("draw", "year")
    return xr.Dataset(
        {
            "footprint": ((*per_draw, *cell), accepted),
            "reference": (("year", *cell), reference),
            "status": (per_draw, status),
            "certified_error": (per_draw, np.where(status == 0, 2.4e-13, np.nan)),
            "corrections": (per_draw, np.where(draw % 211 == 0, 255, 1).astype(np.uint8)),
            "column_sums_above_one": (per_draw, (draw % 97 == 0).astype(np.int32)),
        },
        coords={
            "year": list(world.years),
            "stressor": list(world.stressors),
            "consumer": list(world.consumers),
            "part": list(world.parts),
            "stressor_unit": ("stressor", ["Mt"] * len(world.stressors)),
        },
        attrs=_facts(world),
    )


def _facts(world: World) -> dict[str, Any]:
    made_up = "toy world, two regions" if world.synthetic else "Sea of Tables"
    table = {
        "source": world.source or made_up,
        "version": "release 3",
        "licence": "CC BY 4.0",
        "synthetic": world.synthetic,
        "files": [["table.npz", "9f2c" * 16]],
    }
    noted = {"kind": "negative cells of Y, sign kept", "count": 12, "detail": "lowest -3.2"}
    return {
        "title": "toy",
        "method": world.method,
        "synthetic": world.synthetic,
        "digest": "ab12" * 8,
        "tables": json.dumps({str(year): table for year in world.years}),
        "findings": json.dumps({str(year): [noted] for year in world.years}),
    }


def subject(
    world: World | None = None,
    *,
    rule: DetectionRule | None = None,
    pairs: Sequence[tuple[int, int]] | None = None,
    reproduce: Mapping[str, str] | None = None,
    **changed: Any,
) -> Subject:
    """The subject of a page about `world`, its fields `changed`."""
    world, rule = world or World(), rule or DetectionRule()
    drawn = ensemble(world)
    found = changes(drawn, rule, pairs) if len(world.years) > 1 else xr.Dataset()
    made = Subject(
        title="Consumption footprint of a small country",
        scenario="central",
        other_scenarios=(Other("careful"), Other("bold")),
        ensemble=drawn,
        changes=found,
        levels=levels(drawn, rule),
        rule=rule,
        assumptions=(
            Assumption("E, emissions of industries", "rsd 5 %", "cell, ar1(0.85)", "assumption"),
            Assumption(
                "Z, deliveries between industries",
                "0.39 v^-0.3, from 5 to 200 %",
                "70 % cell, persistent; 30 % cell, yearly",
                "Lenzen et al. 2010, recalled, not verified",
            ),
        ),
        indicators=({"name": "CO2", "unit": "Mt", "weights": "", "source": ""},),
        reproduce=reproduce
        or {
            "Command": "footfall run configs/toy.toml",
            "Seed": "7",
            "Configuration": "[run]\ntitle = 'toy'\n",
        },
    )
    return replace(made, **changed)
