"""What lies beside the page: verdicts as JSON and CSV, and the data behind every figure."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.report.rows import Row


def as_csv(rows: Sequence[Row], data: str) -> str:
    """Comma-separated, one header line; the last column names the data set in every line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(rows[0]) if rows else []
    writer.writerow([*names, "data"])
    for row in rows:
        writer.writerow([*(_cell(row[name]) for name in names), data])
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Nothing stands for what does not exist; numbers keep all their digits."""
    missing = value is None or (isinstance(value, float) and not math.isfinite(value))
    return "" if missing else value


def as_json(facts: Mapping[str, Any], tables: Mapping[str, Sequence[Row]]) -> str:
    """The facts, then tables by name, a row to a line so that versions can be compared."""
    head = json.dumps(facts, ensure_ascii=False, indent=1, allow_nan=False).removesuffix("\n}")
    return head + "".join(f",\n {_listed(*table)}" for table in tables.items()) + "\n}\n"


def _listed(name: str, rows: Sequence[Row]) -> str:
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False, allow_nan=False) for row in rows)
    return f'"{name}": [\n{lines}\n ]'
