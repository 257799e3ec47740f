"""What codes are called on the page; rows, JSON and CSV keep the codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_WITH_ARTICLE = (
    "Netherlands",
    "United ",
    "European Union",
    "Rest of",
    "EU ",
    "Czech Republic",
    "Slovak Republic",
)


@dataclass(frozen=True, slots=True)
class Names:
    """Names of consumers, regions, sectors, stressors and scenarios, by code."""

    known: Mapping[str, str] = field(default_factory=dict)

    def of(self, code: str) -> str:
        """The name, or the code where there is none.

        >>> Names({"NLD": "Netherlands"}).of("NLD"), Names().of("NLD")
        ('Netherlands', 'NLD')
        """
        return self.known.get(code, code)

    def within(self, code: str) -> str:
        """The name within a sentence, with the article that some countries' names take there.

        >>> Names({"NLD": "Netherlands", "DEU": "Germany"}).within("NLD")
        'the Netherlands'
        """
        name = self.of(code)
        return f"the {name}" if name != code and name.startswith(_WITH_ARTICLE) else name

    def in_full(self, code: str) -> str:
        """The name with the code in brackets, for where it is met first.

        >>> Names({"NLD": "Netherlands"}).in_full("NLD")
        'Netherlands (NLD)'
        """
        name = self.of(code)
        return name if name == code else f"{name} ({code})"

    def each(self, text: str) -> str:
        """A label made of codes and spaces, every code named.

        >>> Names({"NLD": "Netherlands"}).each("CO2 NLD")
        'CO2 Netherlands'
        """
        return " ".join(map(self.of, text.split(" ")))

    def scenario(self, code: str) -> str:
        """Like `of`; underscores, which file names need, are read as spaces.

        >>> Names().scenario("short_memory")
        'short memory'
        """
        return self.known.get(code, code.replace("_", " "))


CODES = Names()  # where nothing has a name


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last
