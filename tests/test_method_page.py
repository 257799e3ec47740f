"""The page on the method: equations are numbered once, and what the code cites is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
NUMBERED = re.compile(r"^ {4,}.*\((\d+\.\d+[a-z]?)\)$", re.MULTILINE)
CITED = re.compile(r"docs/method\.md[:,]? \(?((?:\d+\.\d+[a-z]?(?:, | and | to |; )?)+)")
NUMBER = re.compile(r"\d+\.\d+[a-z]?")


def equations() -> list[str]:
    return NUMBERED.findall((ROOT / "docs" / "method.md").read_text())


def test_every_equation_has_a_number_of_its_own() -> None:
    counted = Counter(equations())
    assert len(counted) > 40
    assert max(counted.values()) == 1


def test_what_the_page_and_the_code_cite_is_on_the_page() -> None:
    known = set(equations())
    sources = {path: path.read_text() for path in (ROOT / "engine").rglob("*.py")}
    cited = {
        number: path
        for path, text in sources.items()
        for listed in CITED.findall(text)
        for number in NUMBER.findall(listed)
    }
    assert len(cited) > 25
    assert set(cited) <= known, {n: p for n, p in cited.items() if n not in known}
    page = (ROOT / "docs" / "method.md").read_text()
    inside = set(re.findall(r"\((\d+\.\d+[a-z]?)\)", page))
    assert inside <= known
