"""Other packages on the same system, each called the way its documentation says.

    pymrio: calc_all          one `IOSystem` a draw, all its accounts (Stadler 2021)
    pymrio: calc_L, calc_M    its functions for what is asked alone, on DataFrames
    bw2calc: LCA              Monte Carlo over a datapackage with lognormal distributions
    bw2calc: IterativeLCA     likewise, solved by BiCGSTAB with a Jacobi preconditioner

pymrio draws nothing: it is given draws made as in `benchmarks.naive`, all consumers at once.
bw2calc draws itself and answers for one consumer. Before it is timed, every peer's footprint
without errors is held against a direct solution.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pymrio

from benchmarks.bars import rsd
from benchmarks.naive import Uncertain
from engine.kernels.arrays import F64
from engine.kernels.leontief import multipliers, per_unit_output
from engine.mrio import MRIO

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it recommends a faster solver; the report names the one
        import bw2calc
        import bw_processing
except ImportError:
    bw2calc = bw_processing = None

NO_BW2CALC = "bw2calc is not installed (pip install 'footfall[bench]')"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another package, ready to be timed.

    Attributes:
        run: compute so many draws.
        gap: relative difference of its footprints without errors from a direct solution.
        facts: what it computes, and with what.
    """

    name: str
    run: Callable[[int], object]
    gap: float
    facts: Mapping[str, Any]


class System:
    """One stressor, the coefficients, and final demand of a table, without direct emissions."""

    def __init__(self, table: MRIO, consumer: str) -> None:
        self.table = table
        self.A = per_unit_output(table.Z, table.x, table.active)
        self.s = per_unit_output(table.E[:1], table.x, table.active)
        self.uncertain = Uncertain.of(self.A, rsd(table.Z))
        self.consumer = consumer
        self.y = table.Y[:, table.labels.regions.index(consumer)]
        self.expected = (multipliers(self.A, self.s) @ table.Y)[0]


def peers(table: MRIO, consumer: str) -> tuple[list[Peer], list[tuple[str, str]]]:
    """The peers that are installed, and why the others are left out."""
    system = System(table, consumer)
    found = [_pymrio_all(system), _pymrio_lean(system)]
    if bw2calc is None:
        return found, [("bw2calc", NO_BW2CALC)]
    # Industry j makes product j, so the diagonal is the pairing that the solver would look for.
    iterative = _brightway(system, bw2calc.IterativeLCA, jacobi_pairing="diagonal")
    return [*found, _brightway(system, bw2calc.LCA), iterative], []


# --- pymrio -------------------------------------------------------------------------------------


class _Pymrio:
    """DataFrames that are the same for every draw, and draws of A."""

    def __init__(self, system: System) -> None:
        labels = system.table.labels
        self._uncertain = system.uncertain
        self._random = np.random.default_rng(1)
        self.industries = pd.MultiIndex.from_tuples(labels.industries, names=["region", "sector"])
        demand = pd.MultiIndex.from_tuples(
            [(region, "final demand") for region in labels.regions], names=["region", "category"]
        )
        stressors = pd.Index(labels.stressors[:1], name="stressor")
        self.Y = pd.DataFrame(system.table.Y, self.industries, demand)
        self.S = pd.DataFrame(system.s, stressors, self.industries)

    def A(self, values: F64 | None = None) -> pd.DataFrame:
        """Coefficients of a new draw, unless they are given."""
        return pd.DataFrame(
            self.drawn() if values is None else values.copy(), *2 * [self.industries]
        )

    def drawn(self) -> F64:
        factor = self._random.standard_normal(self._uncertain.values.shape)
        factor *= self._uncertain.sigma
        factor -= self._uncertain.shift
        np.exp(factor, out=factor)
        factor *= self._uncertain.values
        return factor


def _pymrio_all(system: System) -> Peer:
    tables = _Pymrio(system)

    def footprints(A: pd.DataFrame) -> F64:
        emissions = {"name": "emissions", "S": tables.S.copy()}
        world = pymrio.IOSystem(A=A, Y=tables.Y.copy(), emissions=emissions)
        world.calc_all()
        return np.asarray(world.emissions.D_cba_reg)[0]

    return _pymrio_peer("pymrio: calc_all", tables, footprints, system, "every account it has")


def _pymrio_lean(system: System) -> Peer:
    tables = _Pymrio(system)

    def footprints(A: pd.DataFrame) -> F64:
        L = pymrio.calc_L(A)
        return np.asarray(pymrio.calc_M(tables.S, L) @ tables.Y)[0]

    return _pymrio_peer("pymrio: calc_L, calc_M", tables, footprints, system, "totals")


def _pymrio_peer(
    name: str,
    tables: _Pymrio,
    footprints: Callable[[pd.DataFrame], F64],
    system: System,
    computes: str,
) -> Peer:
    def run(draws: int) -> None:
        for _ in range(draws):
            footprints(tables.A())

    found = footprints(tables.A(system.A))
    return Peer(
        name,
        run,
        _gap(found, system.expected),
        {"computes": f"{computes}, {len(found)} consumers", "version": pymrio.__version__},
    )


# --- bw2calc ------------------------------------------------------------------------------------


def _brightway(system: System, kind: Any, **options: Any) -> Peer:
    package, demand = _datapackage(system)
    static = kind(demand, data_objs=[package], **options)
    static.lci()
    static.lcia()
    expected = system.expected[system.table.labels.regions.index(system.consumer)]
    drawing = kind(demand, data_objs=[package], use_distributions=True, seed_override=1, **options)
    drawing.lci()
    drawing.lcia()

    def run(draws: int) -> None:
        for _ in range(draws):
            next(drawing)

    return Peer(
        f"bw2calc: {kind.__name__}",
        run,
        abs(static.score / expected - 1.0),
        {
            "computes": f"total, 1 consumer ({system.consumer})",
            "version": f"{bw2calc.__version__}, solver {_solver()}",
        },
    )


def _solver() -> str:
    if bw2calc.PYPARDISO:
        return "pypardiso"
    return "umfpack" if bw2calc.UMFPACK else "SuperLU"


def _datapackage(system: System) -> tuple[Any, dict[int, float]]:
    """I - A with uncertain inputs, intensities, and a characterisation of one."""
    n = len(system.A)
    i, j = np.nonzero(system.A)
    inputs = _distributions(
        len(i),
        uncertainty_type=2,  # lognormal
        loc=np.log(system.A[i, j]) - system.uncertain.shift[i, j],
        scale=system.uncertain.sigma[i, j],
    )
    fixed = _distributions(n, loc=1.0)
    own = np.arange(n)
    emitted = np.flatnonzero(system.s[0])
    flow = n  # the id of the stressor
    package = bw_processing.create_datapackage(sum_intra_duplicates=True)
    package.add_persistent_vector(
        matrix="technosphere_matrix",
        name="technosphere",
        indices_array=_indices(np.concatenate([own, i]), np.concatenate([own, j])),
        data_array=np.concatenate([np.ones(n), system.A[i, j]]),
        flip_array=np.repeat([False, True], [n, len(i)]),
        distributions_array=np.concatenate([fixed, inputs]),
    )
    package.add_persistent_vector(
        matrix="biosphere_matrix",
        name="biosphere",
        indices_array=_indices(np.full(len(emitted), flow), emitted),
        data_array=system.s[0][emitted],
    )
    package.add_persistent_vector(
        matrix="characterization_matrix",
        name="characterisation",
        indices_array=_indices(np.array([flow]), np.array([flow])),
        data_array=np.ones(1),
    )
    return package, {int(k): float(system.y[k]) for k in np.flatnonzero(system.y)}


def _distributions(count: int, **fields: Any) -> Any:
    unused = dict.fromkeys(("scale", "shape", "minimum", "maximum"), np.nan)
    distributions = np.zeros(count, bw_processing.UNCERTAINTY_DTYPE)
    for name, value in (unused | fields).items():
        distributions[name] = value
    return distributions


def _indices(rows: Any, columns: Any) -> Any:
    indices = np.zeros(len(rows), bw_processing.INDICES_DTYPE)
    indices["row"], indices["col"] = rows, columns
    return indices


def _gap(found: F64, expected: F64) -> float:
    return float(np.abs(found / expected - 1.0).max())
