"""What the numbers say, in sentences: every number in them comes from a row of the JSON.

The words are those of the GUM and of JCGM 106 (estimate, standard uncertainty, coverage interval,
probability), and none of them promises more than the error model does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.kernels.changes import DetectionRule, sigma_of_rho
from engine.report.naming import CODES, Names, listed
from engine.report.numbers import NBSP, correlation, number, places
from engine.report.rows import Change, Level
from engine.report.words import (
    TOO_MANY_REJECTED,
    all_of,
    cardinal,
    chance,
    direction,
    estimate,
    level,
    miss,
    none_of,
    smallest,
    step,
    years,
)

_ALIKE = 0.1  # sizes within a tenth of their median are told as one
_ROUND = (0.5, 0.8, 0.9, 0.95, 0.99)
_NEARLY_ONE = 1 - 0.5e-4
_VISIBLE = 0.1  # a gap from the point estimate shows from a tenth of a standard uncertainty on

_CURVATURE = {
    "coefficients": "errors in the coefficients are amplified along supply chains, more when they "
    "are positive than when they are negative",
    "accounts": "output and coefficients are computed anew in every draw, and the footprint is not "
    "linear in the accounts",
}

_HOW_TO_READ_THE_RULES = (
    "Each rule is an observed change: grey while it would not be detectable, in colour from its "
    "break-even correlation (open circle) on; the filled dot is the verdict under this error model."
)


# --- the headline -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Headline:
    """`about` says whose change it is, `text` what is known of it."""

    about: str
    text: str

    def __str__(self) -> str:
        return f"{self.about}: {self.text}"


def headline(
    whole: Change, successive: Sequence[Change], rule: DetectionRule, names: Names = CODES
) -> Headline:
    """What changed from the first to the last year, how surely, and what would have been found."""
    about = f"{names.in_full(whole.consumer)}, {names.of(whole.stressor)}, {years(whole)}"
    sentences = [_what_changed(whole, rule)]
    if len(successive) > 1:
        sentences.append(_how_many(successive))
    smallest = _what_would_be_missed(successive, rule)
    return Headline(about, " ".join([*sentences, smallest] if smallest else sentences))


def level_headline(row: Level, names: Names = CODES) -> Headline:
    """What is known of a run of one year, which has no change to judge."""
    about = f"{names.in_full(row.consumer)}, {names.of(row.stressor)}, {row.year}"
    return Headline(about, f"the estimated footprint is {measured(row)}.")


def _what_changed(change: Change, rule: DetectionRule) -> str:
    moved = _movement(change)
    if change.verdict == "not assessed":
        return f"the estimated footprint {moved}. {_why_not_assessed(change)}"
    interval = f"({level(rule)} interval {estimate(change).interval})"
    likely = (
        f"probability of a true {direction(change)} "
        f"{chance(change.probability_of_its_sign, change)}"
    )
    if change.decided:
        return f"the footprint {moved} {interval}, which is detectable; {likely}."
    undecided = {
        "not detectable": "which is not detectable",
        "borderline": "which is at the limit of detection and treated as not detectable",
        "needs more draws": "and more draws are needed to tell whether that is detectable",
    }[change.verdict]
    return f"the estimated footprint {moved} {interval}, {undecided}; {likely}."


def _movement(change: Change) -> str:
    if change.reference_change == 0:
        return "did not change"
    printed = estimate(change)
    return f"{'rose' if change.rose else 'fell'} by {printed.size}{printed.unit}"


def _why_not_assessed(change: Change) -> str:
    if change.draws < 2:
        accepted = "one draw only was" if change.draws else "no draws were"
        return f"The change is not assessed: {accepted} accepted in both years."
    return "The change is not assessed: the error model allows it no error."


def _how_many(successive: Sequence[Change]) -> str:
    """`Of five yearly changes one is detectable (rise: 2003).`"""
    found = [change for change in successive if change.decided]
    open_ones = [change for change in successive if change.verdict == "needs more draws"]
    if all(change.verdict == "not assessed" for change in successive):
        return f"{none_of(len(successive), _steps(successive))} is assessed."
    verb = _is(len(found))
    which = "; ".join(
        f"{word}: {', '.join(step(change) for change in moved)}"
        for word, moved in (
            ("fall", [change for change in found if not change.rose]),
            ("rise", [change for change in found if change.rose]),
        )
        if moved
    )
    told = f" ({which})" if which else ""
    waiting = (
        f", and {cardinal(len(open_ones))} {'needs' if len(open_ones) == 1 else 'need'} more "
        f"draws ({', '.join(map(step, open_ones))})"
        if open_ones
        else ""
    )
    steps = f"{cardinal(len(successive))} {_steps(successive)}"
    if len(found) == len(successive):
        return f"{all_of(len(found), _steps(successive))} are detectable{told}."
    if not found:
        return f"{none_of(len(successive), _steps(successive))} is detectable{waiting}."
    return f"Of {steps} {cardinal(len(found))} {verb} detectable{told}{waiting}."


def _what_would_be_missed(successive: Sequence[Change], rule: DetectionRule) -> str:
    """`A true yearly change of about 2.9 % would be missed in one year out of five.`"""
    assessed = [change for change in successive if change.verdict != "not assessed"]
    if len({change.scale for change in assessed}) != 1:
        return ""  # none, or logarithms and raw differences, which have no common size
    told = [change for change in assessed if change.decidable]
    if not told:
        return f"{TOO_MANY_REJECTED.capitalize()}."
    yearly = all(change.to_year == change.from_year + 1 for change in assessed)
    size, depending = _sizes(told)
    opening = "A true yearly" if yearly else _opening(successive)
    often = miss(rule, "year" if yearly else "case")
    untold = [step(change) for change in assessed if not change.decidable]
    never = f" ({', '.join(untold)}: {TOO_MANY_REJECTED})" if untold else ""
    return f"{opening} {size}{depending} would be missed {often}{never}."


def _sizes(told: Sequence[Change]) -> tuple[str, str]:
    """`change of about 2.9 %`: one size where all are alike, one for falls and one for rises where
    only these differ, and ranges where years do.
    """
    unit = estimate(told[0]).unit
    falls, rises = zip(*map(smallest, told), strict=True)
    if _alike(*falls, *rises):
        return f"change of {_about(*falls, *rises)}{unit}", ""
    if _alike(*falls) and _alike(*rises):
        return f"fall of {_about(*falls)}{unit} or rise of {_about(*rises)}{unit}", ""
    return (
        f"fall of {_range(falls)}{unit} or rise of {_range(rises)}{unit}",
        ", depending on the year,",
    )


def _alike(*sizes: float) -> bool:
    middle = float(np.median(sizes))
    return max(abs(size - middle) for size in sizes) <= _ALIKE * middle


def _about(*sizes: float) -> str:
    """The median of sizes that are alike; `about` where they differ in print."""
    middle = float(np.median(sizes))
    shown = {number(size, places(middle)) for size in sizes}
    return ("about " if len(shown) > 1 else "") + number(middle, places(middle))


def _range(sizes: Sequence[float]) -> str:
    low, high = (number(size, places(size)) for size in (min(sizes), max(sizes)))
    return low if low == high else f"{low} to {high}"


def _opening(successive: Sequence[Change]) -> str:
    if len(successive) == 1:
        return "Between these two years a true"
    return "From one of these years to the next a true"


def _steps(successive: Sequence[Change]) -> str:
    yearly = all(change.to_year == change.from_year + 1 for change in successive)
    return "yearly changes" if yearly else "successive changes"


# --- the footprint over time --------------------------------------------------------------------


def measured(row: Level) -> str:
    """`187.2 Mt (standard uncertainty 8.3)`."""
    decimals = places(row.sd)
    return (
        f"{number(row.reference, decimals)}{NBSP}{row.unit} "
        f"(standard uncertainty {number(row.sd, decimals)})"
    )


def fan_caption(levels: Sequence[Level], *, zero_based: bool) -> str:
    """What the bands hold, and what they cannot decide."""
    first, last = levels[0], levels[-1]
    ends = f"The footprint is estimated at {measured(first)} in {first.year}"
    if last is not first:
        ends += f" and {measured(last)} in {last.year}"
    shared = (
        " Whether a change is detectable cannot be read from bands that overlap: errors that two "
        "years share cancel in the change."
        if last is not first
        else ""
    )
    axis = "" if zero_based else " This axis does not start at zero."
    return (
        f"{ends}. Each year by itself lies in the bands with a probability of 50 and 95{NBSP}%."
        f"{shared}{axis}"
    )


def parts_caption(parts: Sequence[Level], changes: Sequence[Change]) -> str:
    """Which part is the largest, and which of them changed.

    Args:
        parts: in the last year.
        changes: of the parts, over the longest time.
    """
    first, *others = sorted(parts, key=lambda row: -row.reference)
    rest = " and ".join(f"{row.part} {number(row.reference, places(row.sd))}" for row in others)
    size = f"{number(first.reference, places(first.sd))}{NBSP}{first.unit}"
    largest = f"In {first.year} the {first.part} part is the largest by its estimate: {size}" + (
        f", against {rest}." if rest else "."
    )
    return f"Below, the parts on one scale. {largest}{_moved_parts(changes)}"


def _moved_parts(changes: Sequence[Change]) -> str:
    assessed = [change for change in changes if change.verdict != "not assessed"]
    if not assessed:
        return ""
    span = years(assessed[0])
    moved = [change for change in assessed if change.decided]
    if not moved:
        return f" No part's change {span} is found detectable."
    told = listed([f"a {direction(change)} of the {change.part} part" for change in moved])
    return f" Over {span}, {told} {_is(len(moved))} detectable."


def gap(levels: Sequence[Level]) -> Level | None:
    """The year in which mean or median of the draws part most visibly from the point estimate."""
    drawn = [row for row in levels if row.draws >= 2 and row.sd > 0]
    worst = max(drawn, key=_distance, default=None)
    return worst if worst is not None and _distance(worst) >= _VISIBLE else None


def _distance(row: Level) -> float:
    return max(_apart(row, row.mean, row.mean_mcse), _apart(row, row.median, row.median_mcse))


def _apart(row: Level, centre: float, mcse: float) -> float:
    """In standard uncertainties; what Monte Carlo error alone explains does not count."""
    return max(0.0, abs(centre - row.reference) - 3 * mcse) / row.sd


def gap_explained(row: Level, method: str) -> str:
    """Why point estimate, mean and median differ, where one can see that they do."""
    decimals = places(row.sd)
    estimate, mean, median = (
        number(value, decimals) for value in (row.reference, row.mean, row.median)
    )
    reasons = []
    if _apart(row, row.mean, row.mean_mcse) >= _VISIBLE:
        reasons.append(f"The mean differs because {_CURVATURE[method]}.")
    if row.median < row.mean:
        reasons.append("The median lies below the mean because the errors are skewed upwards.")
    return (
        f"Point estimate, mean and median differ: in {row.year} they are {estimate}, {mean} and "
        f"{median}{NBSP}{row.unit}. {' '.join(reasons)} Sentences and tables give the point "
        "estimate; the bands describe the draws."
    )


# --- which changes are detectable ---------------------------------------------------------------


def matrix_caption(changes: Sequence[Change], rule: DetectionRule) -> str:
    """How many changes are detectable, and how many would seem so if none were real."""
    if len(changes) == 1:
        (change,) = changes
        printed = estimate(change)
        return (
            f"One pair of years, one verdict: {change.verdict}, at {printed.value}{printed.unit}."
        )
    falls = sum(change.verdict == "decrease" for change in changes)
    rises = sum(change.verdict == "increase" for change in changes)
    assessed = sum(change.verdict != "not assessed" for change in changes)
    waiting = sum(change.verdict == "needs more draws" for change in changes)
    message = _message(len(changes), falls, rises)
    if waiting:
        message += f" {cardinal(waiting).capitalize()} cannot be decided without more draws."
    if assessed < 2:
        return message
    return (
        f"{message} No verdict in this figure allows for the number of changes looked at: if "
        f"nothing had truly changed, {number(assessed * rule.alpha, 1)} of these {assessed} would "
        "still be expected to look detectable."
    )


def _message(n: int, falls: int, rises: int) -> str:
    if not falls + rises:
        return f"None of the {cardinal(n)} changes is found detectable."
    found = falls + rises
    if falls and rises:
        kinds = (_counted(falls, "decrease"), _counted(rises, "increase"))
        what = f": {listed(kinds)}"
    else:
        word = "decrease" if falls else "increase"
        what = (
            f", {'an' if word == 'increase' else 'a'} {word}"
            if found == 1
            else f", {_each(found)} {word}s"
        )
    if found == n:
        return f"{all_of(n, 'changes')} are detectable{what}."
    return f"Of {cardinal(n)} changes {cardinal(found)} {_is(found)} detectable{what}."


def _counted(n: int, word: str) -> str:
    return f"{cardinal(n)} {word if n == 1 else f'{word}s'}"


def _each(n: int) -> str:
    return "both" if n == 2 else "all"


def _is(n: int) -> str:
    return "is" if n <= 1 else "are"


# --- what it hangs on ---------------------------------------------------------------------------


def funnel_caption(changes: Sequence[Change], rule: DetectionRule, *, others: int = 0) -> str:
    """How many changes are detectable as things stand, and would be at other correlations.

    Args:
        others: scenarios that are marked beside this page's own.
    """
    own = float(np.median([change.rho for change in changes]))
    marked = (
        f" Dotted {'line: the correlation' if others == 1 else 'lines: the correlations'} of the "
        f"other {'scenario' if others == 1 else 'scenarios'}, whose errors may also differ in size."
        if others
        else ""
    )
    return (
        "The more two years' errors have in common, the smaller the change that shows. At this "
        f"error model's correlation of {correlation(own)}, {_elsewhere(changes, own, rule)} A true "
        "change beyond the bold curve, the minimum detectable change, is found at least "
        f"{100 * rule.power:.4g}{NBSP}% of the time. {_HOW_TO_READ_THE_RULES}{marked}"
    )


def _elsewhere(changes: Sequence[Change], own: float, rule: DetectionRule) -> str:
    """What is detectable here, and would be at round correlations that are not this one."""
    found = sum(change.decided for change in changes)
    others = [rho for rho in _ROUND if abs(rho - own) > 0.02][-3:]
    counts = [sum(_detectable_at(change, rho, rule) for change in changes) for rho in others]
    if len(changes) == 1:
        here = "is" if found else "is not found"
        so = [f"{rho:g}" for rho, many in zip(others, counts, strict=True) if many]
        at = f"at {' and '.join(so)}" if so else f"at none of {', '.join(map(str, others))}"
        return f"this change {here} detectable; with errors of the same size it would be {at}."
    each = ", ".join(
        f"{cardinal(many)} at {rho:g}" for rho, many in zip(others, counts, strict=True)
    )
    return (
        f"{cardinal(found)} of {cardinal(len(changes))} {_is(found)} detectable; with errors of "
        f"the same size it would be {each}."
    )


def _detectable_at(change: Change, rho: float, rule: DetectionRule) -> bool:
    sigma = sigma_of_rho(np.array(change.s1), np.array(change.s2), np.array(rho))
    # The limit first: where it is infinite no change shows, not even at a sigma of zero.
    limit = abs(change.reference_delta) / rule.z_where_accepted(change.acceptance)
    return bool(limit > sigma)


def break_even(change: Change) -> str:
    """What the break-even correlation says about one change."""
    rho = change.rho_break_even
    if change.verdict == "not assessed":
        return "not assessed"
    if not change.decidable:
        return f"never: {TOO_MANY_REJECTED}"
    at = "a correlation of nearly 1"
    if rho <= _NEARLY_ONE:
        at = correlation(rho, change.rho_break_even_mcse)
    if change.decided:
        return _decided_down_to(rho, change, at)
    if rho >= 1:
        return "never: errors that differ so in size would hide it even if they correlated fully"
    if rho < change.rho:  # counting draws says otherwise, or cannot say yet
        where = "at any correlation" if rho < -1 else f"above {at}"
        return f"at the limit: large enough by size alone {where}, but not by counting draws"
    return f"would be detectable above {at}"


def _decided_down_to(rho: float, change: Change, at: str) -> str:
    if rho >= change.rho:
        return "detectable by counting draws, though not by size alone"
    return "detectable at any correlation" if rho < -1 else f"detectable, down to {at}"
