"""What makes two ensembles the same: a nested description, its digest, and where two differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import TypeAlias

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

_ABSENT = "absent"
_WIDTH = 80  # characters shown of a value


def canonical(value: object) -> str:
    """The one JSON text of a value: keys sorted, no spaces, numbers as Python prints them.

    Raises:
        TypeError, ValueError: the value is not plain JSON, or holds NaN or an infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def text_digest(text: str) -> str:
    """BLAKE2b of a canonical text, 64 hexadecimal digits."""
    return blake2b(text.encode(), digest_size=32).hexdigest()


def differences(on_disk: JSON, asked: JSON, field: str = "") -> Iterator[str]:
    """Every field in which two descriptions differ, with both values.

    Example:
        >>> list(differences({"method": {"r_max": 0.99}}, {"method": {"r_max": 0.95}}))
        ['method.r_max: 0.99 on disk, 0.95 asked']
    """
    if isinstance(on_disk, dict) and isinstance(asked, dict):
        for key in sorted({*on_disk, *asked}):
            name = f"{field}.{key}" if field else key
            if key in on_disk and key in asked:
                yield from differences(on_disk[key], asked[key], name)
            else:
                yield (
                    f"{name}: {_shown(on_disk[key]) if key in on_disk else _ABSENT} on disk, "
                    f"{_shown(asked[key]) if key in asked else _ABSENT} asked"
                )
    elif isinstance(on_disk, list) and isinstance(asked, list) and len(on_disk) == len(asked):
        for position, pair in enumerate(zip(on_disk, asked, strict=True)):
            yield from differences(*pair, f"{field}[{position}]")
    elif canonical(on_disk) != canonical(asked):
        yield f"{field}: {_shown(on_disk)} on disk, {_shown(asked)} asked"


def _shown(value: JSON) -> str:
    text = canonical(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
