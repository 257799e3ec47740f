"""Suites that set the engine against this machine, a naive loop, and other packages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import bars, limits, subject
from benchmarks.bars import Bar
from benchmarks.naive import Naive
from benchmarks.peers import peers
from benchmarks.records import Record, Result, Skipped, compared
from benchmarks.settings import Case, Settings, cases, say, synthetic
from benchmarks.subject import MODES, Mode, Subject
from benchmarks.timing import Contender, Rounds, Spread, Timed, cores, interleaved
from engine.error_model import Persistent
from engine.kernels.arrays import F64
from engine.mrio import MRIO
from engine.prepare import Prepared

CHECKED = (0, 21, 42, 63)  # draws solved anew, to measure errors
LARGE = 3000  # industries, beyond which only what is asked of such tables is measured


# --- limits -------------------------------------------------------------------------------------


def measure_limits(settings: Settings) -> Iterator[Result]:
    """Bandwidth, arithmetic, lognormals, and the fused pass beside them."""
    threads = sorted({1, cores()})
    size, n = (2**25, 800) if settings.quick else (2**28, 2500)
    copies = [limits.copying(count, size) for count in threads]
    yield from _rates(settings, "memory", copies, 2 * size, "B/s")
    products = [limits.products(kind, n, t) for kind in (np.float64, np.float32) for t in threads]
    yield from _rates(settings, "arithmetic", products, 2 * n**3, "flop/s")
    yield from _lognormals(settings, threads)


def _rates(
    settings: Settings, case: str, contenders: Sequence[Contender], work: float, unit: str
) -> Iterator[Record]:
    for name, timed in interleaved(contenders, settings.repeats, settings.least).items():
        yield Record("limits", case, name, timed.rate(work), unit)


def _lognormals(settings: Settings, threads: Sequence[int]) -> Iterator[Result]:
    unit = limits.CELLS * limits.LANES
    case = synthetic(600 if settings.quick else 2944)
    table = case.load(case.year)
    n = 800 if settings.quick else 2500
    product = limits.products(np.float32, n, 1)
    contenders = [
        limits.numpy_lognormals(),
        *(limits.lognormals(count) for count in threads),
        product,
    ]
    work: dict[str, float] = {one.name: float(unit) for one in contenders}
    for mode in MODES:
        (prepared,) = subject.in_mode(subject.ready([table], bars.first(table)), mode)
        fused = subject.fused_pass(prepared, mode)
        if fused is None:
            reason = "this mode has no fused pass"
            yield Skipped("limits", "lognormals", f"fused pass, {mode.name}", reason)
            continue
        run, factors = fused
        contenders.append(Contender(f"fused pass, {mode.name}, 1 thread", run))
        work[contenders[-1].name] = float(factors)
    timed = interleaved(contenders, settings.repeats, settings.least)
    # Instructions that a core can do at best, in the same rounds: a product does two flop in one.
    best = [n**3 / s / limits.INSTRUCTIONS for s in timed.pop(product.name).seconds]
    own = [unit / s for s in timed[limits.lognormals(1).name].seconds]
    for name, one in timed.items():
        rates = [work[name] / s for s in one.seconds]
        facts: dict[str, Any] = {}
        if "1 thread" in name:
            facts["share of the arithmetic limit"] = _share(rates, best)
            facts["share of the engine's lognormals"] = _share(rates, own)
        yield Record("limits", "lognormals", name, Spread.of(rates), "lognormals/s", facts=facts)


def _share(rates: Rounds, whole: Rounds) -> float:
    return Spread.of([a / b for a, b in zip(rates, whole, strict=True)]).median


# --- naive --------------------------------------------------------------------------------------


def measure_naive(settings: Settings) -> Iterator[Result]:
    """Every mode against the naive loop, on all tables and both bars."""
    for case in cases(settings):
        if case.absent:
            yield Skipped("naive", case.name, "all modes", case.absent)
            continue
        table = case.load(case.year)
        asked = [bars.first(table), bars.second(table)]
        if case.n > (120 if settings.quick else LARGE):
            yield Skipped("naive", f"{case.name}, second bar", "all modes", "it takes too long")
            asked = asked[:1]
        for bar in asked:
            say(f"  {case.name}, {bar.name}")
            yield from _against_naive(settings, case, table, bar)


def _against_naive(settings: Settings, case: Case, table: MRIO, bar: Bar) -> Iterator[Result]:
    name = f"{case.name}, {bar.name}"
    naive = Naive(table, bar)
    contenders = [Contender("naive", naive.run, blas=None)]
    subjects, facts = [], {"naive": _sizes(table, bar)}
    began = time.perf_counter()
    ready = subject.ready([table], bar)
    facts["naive"]["preparing a year for the engine, s"] = time.perf_counter() - began
    truths = {number: subject.direct(ready[0], number) for number in CHECKED}
    for mode in MODES:
        if mode.group == 1 and case.n > LARGE:
            yield Skipped("naive", name, mode.name, "it is as slow as the naive loop")
            continue
        began = time.perf_counter()
        (prepared,) = subject.in_mode(ready, mode)
        preparing = time.perf_counter() - began
        drawn = subject.footprints(prepared, mode, max(CHECKED) + 1)
        found = subject.error(drawn, truths)
        one = Subject(prepared, mode)
        subjects.append(one)
        facts[mode.name] = {"largest error found": found}
        if prepared.split is not None:
            facts[mode.name] |= _kept(prepared, preparing)
        contenders.append(Contender(mode.name, one.draw, one.step))
    timed = interleaved(contenders, settings.repeats, settings.least, settings.budget)
    for one in subjects:
        facts[one.mode.name] |= one.facts()
    _note_threads(contenders, timed, facts)
    yield from compared("naive", name, timed, "naive", "s a draw", facts)


def _kept(prepared: Prepared, seconds: float) -> dict[str, Any]:
    assert prepared.split is not None
    kept, whole = (
        sum(len(cells.value) for cells in entries)
        for entries in (prepared.split.kept, prepared.cells[prepared.matrix])
    )
    return {
        "share of the cells": kept / whole,
        "share of the variance": prepared.split.share,
        "choosing the cells, s": seconds,
    }


def _note_threads(
    contenders: Sequence[Contender], timed: Mapping[str, Timed], facts: dict[str, dict[str, Any]]
) -> None:
    """Which number of BLAS threads was the faster, where both were tried."""
    for one in contenders:
        if one.blas is None:
            facts[one.name]["BLAS threads, the faster of 1 and all"] = timed[one.name].blas


def _sizes(table: MRIO, bar: Bar) -> dict[str, Any]:
    return {
        "industries": len(table.labels.industries),
        "nonzeros of A": int(np.count_nonzero(table.Z)),
        "indicators": len(bar.question.indicators),
        "consumers": len(bar.question.consumers),
        "parts": len(bar.question.parts),
    }


# --- accuracy -----------------------------------------------------------------------------------


def measure_accuracy(settings: Settings) -> Iterator[Result]:
    """Standard deviations of levels and changes, errors lasting, against the first fast mode."""
    draws = 128 if settings.quick else 512
    modes = [mode for mode in MODES if mode.group > 1]
    for case in cases(settings):
        if case.absent or case.n > (120 if settings.quick else LARGE):
            why = case.absent or "two years of so many draws take too long"
            yield Skipped("accuracy", case.name, "all modes", why)
        elif len(modes) < 2:
            why = "there are no two fast modes to compare"
            yield Skipped("accuracy", case.name, "all modes", why)
        else:
            say(f"  {case.name}")
            yield from _against_exact(case, modes, draws)


def _against_exact(case: Case, modes: Sequence[Mode], draws: int) -> Iterator[Record]:
    tables = [case.load(year) for year in (case.year - 1, case.year)]
    prepared = subject.ready(tables, bars.first(tables[0], Persistent()))
    exact = _totals(prepared, modes[0], draws)
    for mode in modes[1:]:
        found = _totals(prepared, mode, draws)
        both = np.isfinite(exact + found).all(axis=(0, 2))
        for name, weights in (("level", (0.0, 1.0)), ("change", (-1.0, 1.0))):
            ours, true = (np.tensordot(weights, F[:, both], 1) for F in (found, exact))
            sd = true.std(axis=0)
            facts = {
                "largest difference of a draw, in sd": float((np.abs(ours - true) / sd).max()),
                "draws": int(both.sum()),
            }
            spread = Spread.of((ours.std(axis=0) / sd).tolist())
            label = f"{mode.name}: sd of the {name}, all consumers"
            yield Record("accuracy", case.name, label, spread, f"of {modes[0].name}", facts=facts)


def _totals(prepared: Sequence[Prepared], mode: Mode, draws: int) -> F64:
    """Totals of each year, (years, draws, consumers), NaN where a draw was not accepted."""
    found = []
    for year in subject.in_mode(prepared, mode):
        drawn = subject.footprints(year, mode, draws)
        found.append(np.where(drawn.accepted[:, None], drawn.footprint[:, 0, :, 0], np.nan))
    return np.stack(found)


# --- peers --------------------------------------------------------------------------------------


def measure_peers(settings: Settings) -> Iterator[Result]:
    """Other packages, the naive loop and every mode, in the same rounds."""
    wanted = {120} if settings.quick else {120, 1435}
    for case in cases(settings):
        if case.n not in wanted:
            continue
        if case.absent:
            yield Skipped("peers", case.name, "all peers", case.absent)
            continue
        say(f"  {case.name}")
        yield from _against_peers(settings, case)


def _against_peers(settings: Settings, case: Case) -> Iterator[Result]:
    table = case.load(case.year)
    regions = table.labels.regions
    consumer = "NLD" if "NLD" in regions else regions[0]
    found, absent = peers(table, consumer)
    for name, reason in absent:
        yield Skipped("peers", case.name, name, reason)
    bar = bars.first(table)
    contenders = [Contender("naive", Naive(table, bar).run, blas=None)]
    computes = f"totals, {len(bar.question.consumers)} consumers"
    facts: dict[str, dict[str, Any]] = {"naive": {"computes": computes}}
    ready = subject.ready([table], bar)
    subjects = [Subject(subject.in_mode(ready, mode)[0], mode) for mode in MODES]
    for one in subjects:
        contenders.append(Contender(one.mode.name, one.draw, one.step))
        facts[one.mode.name] = {"computes": f"totals, {len(regions)} consumers, certified"}
    for peer in found:
        contenders.append(Contender(peer.name, peer.run, blas=None))
        facts[peer.name] = {**peer.facts, "difference without errors": peer.gap}
    timed = interleaved(contenders, settings.repeats, settings.least, settings.budget)
    for one in subjects:
        facts[one.mode.name] |= one.facts()
    _note_threads(contenders, timed, facts)
    yield from compared("peers", case.name, timed, "naive", "s a draw", facts)
