"""Draw until the answer is known well enough (JCGM 101:2008, 7.9).

The run is extended to D, 2 D, 4 D, ... draws a year, and looked at each time. It stops when every
change of a consumer's total between consecutive years, and from the first year to the last, is
settled in every scenario: its verdict is decided, and its estimate, its standard uncertainty and
the ends of its coverage interval are known to the asked number of digits.

Looking often gives chance as often an opportunity. So the error that the draws' own scatter may
cause in a verdict is spent over the looks, .01 / (k (k + 1)) at look k: .01 in all, however many
there are. What is still undecided at the largest number of draws is `borderline`, and treated as
not detectable.

Draws never change, and the looks follow from the first one alone. A run that was interrupted looks
again where it had looked before, sees the same, and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine import analysis, workflow
from engine.analysis import Unsettled
from engine.clusters import Profile
from engine.config import Config
from engine.error_model import most_draws, refuse_more_draws
from engine.errors import ConfigError, InputError
from engine.kernels.changes import spent_at_look
from engine.plan import whole_blocks
from engine.runs import Listener, sitting
from engine.stores.places import Place, Remote, place
from engine.stores.record import Looks, Stop, remembered, write_record
from engine.workflow import Run

MOST = 16  # times the first look, if the largest number of draws is not given
_LISTED = 8  # open changes that a look spells out


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a run has found.

    Attributes:
        number: counted from 1.
        draws: draws a year.
        watched: how many changes are looked at, in all scenarios.
        open: what is not settled yet, by scenario.
        digits: significant digits asked of uncertainties.
        stop: whether it is the last look, and why.
    """

    number: int
    draws: int
    watched: int
    open: Mapping[str, tuple[Unsettled, ...]]
    digits: int
    stop: Stop

    def lines(self) -> Iterator[str]:
        """What is settled and what is not, line by line."""
        unsettled = [(scenario, one) for scenario, some in self.open.items() for one in some]
        settled = self.watched - len(unsettled)
        yield (
            f"look {self.number}, {self.draws} draws: {settled} of {self.watched} changes settled"
        )
        for scenario, one in unsettled[:_LISTED]:
            named = f"scenario {scenario}, " if len(self.open) > 1 else ""
            yield f"  open: {named}{_described(one, self.digits)}"
        if len(unsettled) > _LISTED:
            yield f"  open: {len(unsettled) - _LISTED} more"
        match self.stop:
            case Stop.TOLERANCE:
                yield f"tolerance met: every verdict is decided, and {known(self.digits)}"
            case Stop.MAXIMUM:
                yield _at_the_end([one for _, one in unsettled], self.digits)


def _described(one: Unsettled, digits: int) -> str:
    """`NLD, CO2, 2019-2020: verdict (P(decrease) 97.6 %); upper end not to 1 digit`."""
    waits = [f"verdict (P(decrease) {100 * one.p_decrease:.1f} %)"] if one.undecided else []
    if one.unknown:
        enough = f" (about {float(f'{one.draws:.1e}'):.0f} draws)" if one.draws else ""
        waits.append(f"{', '.join(one.unknown)} not to {_digits(digits)}{enough}")
    years = f"{one.from_year}-{one.to_year}"
    return f"{one.consumer}, {one.stressor}, {years}: {'; '.join(waits)}"


def _at_the_end(unsettled: list[Unsettled], digits: int) -> str:
    undecided = sum(one.undecided for one in unsettled)
    coarse = sum(bool(one.unknown) for one in unsettled)
    left = []
    if undecided:
        left.append(f"{undecided} borderline, treated as not detectable")
    if coarse:
        left.append(f"{coarse} not known to {_digits(digits)} of its uncertainty")
    return f"largest number of draws reached: {'; '.join(left)} (--max-draws allows more)"


def known(digits: int) -> str:
    """What the tolerance asks of every change, in words."""
    return f"every change known to {_digits(digits)} of its uncertainty"


def _digits(digits: int) -> str:
    return "1 digit" if digits == 1 else f"{digits} digits"


def schedule(
    config: Config,
    folder: str | Path | Remote | None = None,
    first: int | None = None,
    most: int | None = None,
) -> tuple[int, ...]:
    """Draws a year at each look that may be taken: a first one, then doubled up to `most`.

    Args:
        folder: the run folder, `runs/<config name>` if not given. Where it remembers looks, the
            first of them is the first again, whatever the configuration says by now.
        first: draws at the first look, rounded up to whole blocks; the configuration's own if not
            given.
        most: never more draws than these; if not given 16 times the first look, or what files of
            factors suffice for.

    Raises:
        ConfigError: `most` leaves no look, files hold fewer factors, or `first` is not the first
            look of the folder.
        InputError: there is one year only.
    """
    if len(config.sampling.years) < 2:
        raise InputError(
            "the configuration has one year, so there is no change to draw for",
            where=str(config.path),
            remedy="name two years or more, or run without --until-tolerance",
        )
    looks = _remembered(place(folder) if folder else workflow.run_folder(config))
    start = whole_blocks(first or config.sampling.draws, config.sampling.block)
    if looks is not None:
        if first is not None and start != looks.draws[0]:
            raise ConfigError(
                f"this run was first looked at after {looks.draws[0]} draws, not {start}",
                where=str(folder or workflow.run_folder(config)),
                remedy="leave the number of draws out, or give the run a folder of its own",
            )
        start = looks.draws[0]
    known = [n for n in map(most_draws, config.scenarios) if n is not None]
    most = min([MOST * start, *known]) if most is None else most
    for scenario in config.scenarios:
        refuse_more_draws(scenario, most)
    if most < start:
        raise ConfigError(
            f"a first look at {start} draws is beyond the largest number of draws, {most}",
            where="until tolerance",
            remedy=f"allow {start} draws or more, or begin with fewer",
        )
    return tuple(start << k for k in range((most // start).bit_length()))


def run_until(
    config: Config,
    folder: str | Path | Remote | None = None,
    *,
    digits: int = 1,
    first: int | None = None,
    most: int | None = None,
    cluster: Profile | None = None,
    listener: Listener = lambda _: None,
    watcher: Callable[[Look], None] = lambda _: None,
    teller: Callable[[str], None] = lambda _: None,
) -> Run:
    """Run, resume or extend until every verdict is decided and every uncertainty known.

    Workers stay from the first look to the last, and wait while it looks.

    `footfall detect` and `footfall report` judge such a run as the look at which it stopped.

    Args:
        folder: the run folder, `runs/<config name>` if not given.
        digits: significant digits asked of uncertainties, 1 or 2; the second takes up to a hundred
            times as many draws.
        first: draws a year at the first look, rounded up to whole blocks; the configuration's own
            if not given.
        most: never more draws than these; 16 times the first look if not given.
        cluster: where to run, instead of the configuration's own.
        listener: told of progress after every block.
        watcher: told what each look has found.
        teller: told in words, before the first draw, of what has no error at all.

    Raises:
        InputError: the configuration or a table cannot be used, or there is one year only.
        StoreError: the folder holds another run, is in use, or cannot be written.
        RunError: the run stopped before it was complete.
    """
    folder = place(folder) if folder else workflow.run_folder(config)
    _refuse_impossible(config, digits)
    schedule(config, folder, first, most)  # what cannot be is refused before a folder is made
    with sitting(folder, cluster or config.cluster) as here:
        planned = schedule(config, folder, first, most)  # nobody looks any more but this run
        run = workflow.run_in(here, config, draws=planned[0], listener=listener, teller=teller)
        for number, draws in enumerate(planned, start=1):
            if any(run.ensemble(scenario).draws < draws for scenario in run.record.scenarios):
                run = workflow.run_in(here, config, draws=draws, listener=listener)
            look = _look(run, number, draws, digits, last=number == len(planned))
            looks = Looks(planned[:number], planned[-1], digits, look.stop)
            run = Run(folder, replace(run.record, looks=looks))
            here.lock.confirm()
            write_record(folder, run.record)
            watcher(look)
            if look.stop is not Stop.NOT_YET:
                break
    return run


def _look(run: Run, number: int, draws: int, digits: int, *, last: bool) -> Look:
    """Look at the first `draws` draws, however many there are."""
    rule = workflow.rule_of(run)
    rule = replace(rule, monte_carlo_error=spent_at_look(number, rule.monte_carlo_error))
    watched, unsettled = 0, {}
    for scenario in run.record.scenarios:
        ensemble = run.load(scenario).isel(draw=slice(draws))
        watched += analysis.watched(ensemble)
        unsettled[scenario] = tuple(analysis.unsettled(ensemble, rule, digits))
    if_open = Stop.MAXIMUM if last else Stop.NOT_YET
    stop = if_open if any(unsettled.values()) else Stop.TOLERANCE
    return Look(number, draws, watched, unsettled, digits, stop)


def _remembered(folder: Place) -> Looks | None:
    record = remembered(folder)
    return record.looks if record else None


def _refuse_impossible(config: Config, digits: int) -> None:
    if digits not in (1, 2):
        raise ConfigError(
            f"{digits} significant digits of an uncertainty are not 1 or 2",
            where="until tolerance",
            remedy="ask for 1 or 2: an uncertainty is not known better (JCGM 101:2008, 7.9.1)",
        )
