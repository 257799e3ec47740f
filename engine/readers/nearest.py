"""Naming the known word closest to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str:
    """The `known` word most like `word`, as a remedy; all of them where none is alike."""
    choices = list(dict.fromkeys(known))
    by_lower = {choice.lower(): choice for choice in reversed(choices)}
    close = get_close_matches(word.strip().lower(), by_lower, n=1, cutoff=0.5)
    if close:
        return f"did you mean {by_lower[close[0]]!r}?"
    shown = ", ".join(repr(choice) for choice in choices[:12])
    more = f" and {len(choices) - 12} more" if len(choices) > 12 else ""
    return f"use one of {shown}{more}" if choices else "there is none to use"
