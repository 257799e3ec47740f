"""What several verdicts on one change come to: over scenarios, or over an assumed correlation."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from engine.kernels.changes import Verdict


class Conclusion(StrEnum):
    """How far a verdict hangs on what is assumed."""

    ROBUST = "robust"
    DEPENDS = "depends"
    ROBUSTLY_NOT = "robustly not"
    CONTRADICTORY = "contradictory"
    OPEN = "open"
    NOT_ASSESSED = "not assessed"

    @property
    def meaning(self) -> str:
        """In words."""
        return _MEANING[self]


_MEANING = {
    Conclusion.ROBUST: "detectable, in one direction, under every assumption compared",
    Conclusion.DEPENDS: (
        "detectable under some of the assumptions compared, or not assessed under some, so that "
        "the answer hangs on which of them holds"
    ),
    Conclusion.ROBUSTLY_NOT: "detectable under none of the assumptions compared",
    Conclusion.CONTRADICTORY: "a decrease under one assumption and an increase under another",
    Conclusion.OPEN: "more draws could still change the conclusion; extend the run with --draws",
    Conclusion.NOT_ASSESSED: "assessed under none of the assumptions compared",
}

_SAID_NO = {Verdict.NOT_DETECTABLE, Verdict.BORDERLINE}


def conclusion(verdicts: Iterable[str]) -> Conclusion:
    """The conclusion from verdicts on one change, one an assumption.

    `borderline` counts as not detectable, as everywhere. `not assessed` is neither a direction
    nor a no: a model that leaves a change no error to judge does not say that it cannot be
    detected. `needs more draws` leaves the conclusion open, unless the others settle it between
    `depends` and `contradictory` already.

    Raises:
        ValueError: there is none, or one is no verdict.
    """
    found = {Verdict(verdict) for verdict in verdicts}
    if not found:
        raise ValueError("a conclusion needs a verdict")
    settled = found - {Verdict.NEEDS_MORE_DRAWS}
    directions = {verdict for verdict in settled if verdict.detected}
    if len(directions) == 2:
        return Conclusion.CONTRADICTORY
    if directions and settled != directions:
        return Conclusion.DEPENDS
    if Verdict.NOT_ASSESSED in settled and settled & _SAID_NO:
        return Conclusion.DEPENDS
    if settled != found:
        return Conclusion.OPEN
    if directions:
        return Conclusion.ROBUST
    return Conclusion.ROBUSTLY_NOT if settled <= _SAID_NO else Conclusion.NOT_ASSESSED
