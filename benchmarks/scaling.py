"""How the cost of drawing grows, one thing at a time, and with which power of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import bars, subject, tables
from benchmarks.records import Record, Result
from benchmarks.settings import Settings, say
from benchmarks.subject import MODES, Mode, Subject
from benchmarks.tables import Synthetic
from benchmarks.timing import Contender, cores, interleaved
from engine.mrio import MRIO

Point = tuple[float, Callable[[], None]]  # how much of it there is, and the work
PARTS = ("total", "domestic", "foreign")  # which take a right-hand side a consumer


def measure_scaling(settings: Settings) -> Iterator[Result]:
    """Draws, years, industries, nonzeros, right-hand sides and workers."""
    for mode in MODES[:1] if settings.quick else MODES:
        for axis, points in _axes(settings, mode):
            say(f"  {mode.name}: {axis}")
            yield from _measured(settings, mode, axis, points)


def _axes(settings: Settings, mode: Mode) -> Iterator[tuple[str, list[Point]]]:
    """What grows; everything else stays at `settings.middle` industries and a step of draws."""
    n, step = settings.middle, mode.group * cores()
    table = tables.make(Synthetic.of(n))
    yield "draws", [(k * step, _drawing(table, mode, k * step)) for k in (1, 2, 4, 8)]
    years = [tables.make(Synthetic.of(n), tables.BASE_YEAR + t) for t in range(4)]
    drawings = [_drawing(table, mode, step) for table in years]
    yield "years", [(k, _all(drawings[:k])) for k in (1, 2, 4)]
    sizes = (60, 120) if settings.quick else (120, 600, 1200, 2944)
    made = [tables.make(Synthetic.of(size)) for size in sizes]
    yield "industries", [(len(t.Z), _drawing(t, mode, step)) for t in made]
    made = [tables.make(Synthetic.of(n, density)) for density in (0.15, 0.3, 0.6, 1.2)]
    yield "nonzeros of A", [(np.count_nonzero(t.Z), _drawing(t, mode, step)) for t in made]
    asked = [k for k in (1, 3, 6, 15, 46) if k <= len(table.labels.regions)]
    yield "right-hand sides", [(k, _drawing(table, mode, step, consumers=k)) for k in asked]
    threads = sorted({1, *(2**k for k in range(1, cores().bit_length())), cores()})
    yield "workers", [(k, _drawing(table, mode, 2 * step, workers=k)) for k in threads]


def _drawing(
    table: MRIO,
    mode: Mode,
    draws: int,
    *,
    consumers: int | None = None,
    workers: int | None = None,
) -> Callable[[], None]:
    parts = ("total",) if consumers is None else PARTS
    bar = bars.first(table, consumers=consumers, parts=parts)
    one = Subject(subject.in_mode(subject.ready([table], bar), mode)[0], mode, workers)
    return lambda: one.draw(draws)


def _all(actions: list[Callable[[], None]]) -> Callable[[], None]:
    def act() -> None:
        for action in actions:
            action()

    return act


def _measured(settings: Settings, mode: Mode, axis: str, points: list[Point]) -> Iterator[Record]:
    contenders = [Contender(f"{amount:,} {axis}", _repeated(act)) for amount, act in points]
    timed = interleaved(contenders, settings.repeats, settings.least / 2, settings.budget)
    spreads = [one.spread for one in timed.values()]
    amounts = [amount for amount, _ in points]
    power = exponent(amounts, [spread.median for spread in spreads])
    case = f"{mode.name}: {axis}"
    for amount, contender, spread in zip(amounts, contenders, spreads, strict=True):
        facts = {"amount": int(amount), "exponent over the whole range": power}
        yield Record("scaling", case, contender.name, spread, "s", facts=facts)


def exponent(amounts: list[float], seconds: list[float]) -> float:
    """The power of the amount that the time goes with, by least squares of the logarithms."""
    if len(amounts) < 2:
        return float("nan")
    return float(np.polyfit(np.log(amounts), np.log(seconds), 1)[0])


def _repeated(act: Callable[[], None]) -> Callable[[int], None]:
    def run(times: int) -> None:
        for _ in range(times):
            act()

    return run
