"""How to read the page: every word and column of it, said once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.kernels.changes import DetectionRule, Verdict
from engine.kernels.conclusions import Conclusion
from engine.report.chapters import Findings
from engine.report.numbers import percent
from engine.report.words import level, miss


@dataclass(frozen=True, slots=True)
class Entry:
    """A word or a section and what it means; `verdict` where the word is one, shown as a mark."""

    anchor: str
    term: str
    meanings: tuple[str, ...]
    verdict: str = ""


def anchor(term: str) -> str:
    """Where an entry stands on the page."""
    return "read-" + re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-")


def how_to_read(
    rule: DetectionRule,
    verdicts: Iterable[str],
    conclusions: Iterable[str],
    notes: Iterable[tuple[str, Sequence[str]]],
    *,
    rejected: bool,
) -> tuple[Entry, ...]:
    """Words of every page, verdicts that are met, then what each section needs.

    Args:
        verdicts: those on the page.
        conclusions: what several assumptions come to, those on the page.
        notes: titles of sections and what is to be said of them; a title may come many times.
        rejected: whether any draw was rejected.
    """
    met, reached = set(verdicts), set(conclusions)
    words = _words(rule, rejected=rejected)
    marks = [
        Entry(anchor(verdict), str(verdict), (f"{verdict.meaning}.",), str(verdict))
        for verdict in Verdict
        if verdict in met
    ]
    marks += [
        Entry(anchor(kind), str(kind), (f"{kind.meaning}.",), str(kind))
        for kind in Conclusion
        if kind in reached and kind not in met
    ]
    gathered: dict[str, dict[str, None]] = {}
    for title, said in notes:
        gathered.setdefault(title, {}).update(dict.fromkeys(said))
    told = [Entry(anchor(title), title, tuple(said)) for title, said in gathered.items() if said]
    return (*(Entry(anchor(term), term, said) for term, said in words), *marks, *told)


def first_words(found: Sequence[Findings], rule: DetectionRule) -> tuple[tuple[str, str], ...]:
    """What the headlines need: three words, and a fourth where a headline says it."""
    told = [c for each in found for c in (each.whole, *each.successive) if c is not None]
    waiting = any(change.verdict == "needs more draws" for change in told)
    words = [
        ("Detectable", detectable(rule)),
        (
            f"{level(rule)} interval",
            f"holds the true change with a probability of {level(rule)} or more, if the error "
            "model is right; it leaves out zero where a change is detectable.",
        ),
        (
            "Change that would be missed",
            f"the minimum detectable change (MDC): a true change of this size is missed "
            f"{miss(rule, 'case')}.",
        ),
    ]
    if waiting:
        words.append(
            (
                "Needs more draws",
                f"the probability lies too near {_limit(rule)} for so many draws to tell on which "
                "side of it, even where the interval leaves out zero.",
            )
        )
    return tuple(words) if told else ()


def detectable(rule: DetectionRule) -> str:
    """In plain words, for the first screen."""
    return (
        "with the errors assumed, the true change has the direction of the estimated one with a "
        f"probability above {_limit(rule)}."
    )


def _limit(rule: DetectionRule) -> str:
    return percent(100 * (1 - rule.alpha / 2), 1)


def _words(rule: DetectionRule, *, rejected: bool) -> list[tuple[str, tuple[str, ...]]]:
    counted = ", with every rejected draw counted against it" if rejected else ""
    beyond = ", for rejected draws are counted beyond either end of it" if rejected else ""
    accepted = ", given that the draw is accepted" if rejected else ""
    return [
        (
            "Estimate",
            (
                "from the published tables. All else comes from the draws, but for what is said to "
                "be to first order.",
            ),
        ),
        (
            f"{level(rule)} interval",
            (
                f"of a change, holds the true one with a probability of {level(rule)} or more, if "
                "the error model is right. It spans both ways of reading an error, the law of the "
                "draws and its mirror image at the estimate, and so leaves out zero where the "
                f"verdict is a rise or a fall{beyond}. Of a level, it holds that share of the "
                f"draws{accepted}.",
            ),
        ),
        (
            "Standard uncertainty, σ",
            (
                "the standard deviation of what may be true; of a change, of the logarithm of the "
                "ratio of its two years, times 100.",
            ),
        ),
        (
            "P(fall)",
            ("the probability that the true footprint fell: a state of knowledge, not a p-value.",),
        ),
        (
            "Detectable",
            (
                f"{detectable(rule)} This must hold among the draws and also among their mirror "
                f"images at the estimate, the two ways of reading an error{counted}.",
            ),
        ),
        (
            "Minimum detectable change (MDC)",
            (
                f"a true change of this size is missed {miss(rule, 'case')}. A fall and a rise "
                "have one each in every pair of years; where those of the successive years all lie "
                "within a tenth of their median, sentences give the median.",
            ),
        ),
        (
            "Correlation, break-even",
            (
                "what the errors of two years have in common cancels in their change. Here: the "
                "correlation that the error model gives. Break-even: the one above which a change "
                "would be detectable, with errors of the present size.",
            ),
        ),
        (
            "Monte Carlo error",
            (
                "what chance among the draws leaves of a number. Digits are printed as far as it "
                "allows; the largest of every column stands under “Is the answer numerically "
                "safe?”, each number's own beside it in the files (names that end in _mcse).",
            ),
        ),
    ]
