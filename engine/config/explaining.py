"""What pydantic refuses, as one error in the words of the configuration."""

from __future__ import annotations

import re
from difflib import get_close_matches

from pydantic import ValidationError

from engine.config import schema
from engine.errors import ConfigError

CHOICES = {
    "time": "choose how errors correlate between years, there is no default: "
    '"persistent", "yearly", { ar1 = 0.9 } or { period = [2000, 2005] }',
    "source": 'cite where the numbers come from, or write source = "assumption"',
    "correlation": "state how errors of real GDP correlate between two years, there is no default: "
    "a number from 0 to 1",
    "by_origin": 'write true for every consumer, or list some, such as ["NLD"]',
    "by_industry": 'list one consumer or a few, such as ["NLD"], or write true for all',
    "by_product": 'write true for every consumer, or list some, such as ["NLD"]',
    "seed": "any whole number; it makes the run reproducible",
    "members": "list one region or more",
    "home": "list one region or more: an origin there is domestic",
    "weights": "give each stressor its factor, such as { CO2 = 1.0, CH4 = 28.0 }",
}

_MISSING = "is missing"


def explained(error: ValidationError, where: str) -> ConfigError:
    """The first of pydantic's complaints, with the others counted and listed after it."""
    near = ""
    complaints: list[tuple[str, str]] = []
    # Of a union's branches, the one that understood the value best speaks first.
    for item in sorted(error.errors(), key=lambda item: item["type"] != "value_error"):
        # Branches of a union show in `loc` as class names; a reader of TOML has no use for them.
        place = ".".join(str(part) for part in item["loc"] if not _is_branch(part))
        said = _MISSING if item["type"] == "missing" else item["msg"]
        if not complaints and item["type"] == "literal_error":
            near = _nearest(str(item["input"]), item["ctx"]["expected"])
        complaints.append((place, said.removeprefix("Value error, ")))
    first, message = complaints[0]
    others = "; ".join(f"{place}: {text}" for place, text in complaints[1:5] if place != first)
    key = first.rpartition(".")[2]
    default = f"add `{key}`" if message == _MISSING else near or "correct the value"
    remedy = CHOICES.get(key, default)
    return ConfigError(
        message + (f" (also {others})" if others else ""),
        where=f"{where}, {first}" if first else where,
        remedy="use a key that exists" if "unknown key" in message else remedy,
    )


def _nearest(given: str, expected: str) -> str:
    """The choice that a word is most like, as a remedy; none where none is alike."""
    close = get_close_matches(given.lower(), re.findall(r"'([^']+)'", expected), n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else ""


def _is_branch(part: object) -> bool:
    return isinstance(part, str) and ("[" in part or part in _BRANCHES)


_BRANCHES = ("int", "float", "str", "bool", schema.Years.__name__)
