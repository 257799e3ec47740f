"""The tables of a run, read one by one and held together."""

from __future__ import annotations

from engine import readers
from engine.config import Config
from engine.mrio import MRIO, Labels


class Reader:
    """Reads tables and refuses years that do not belong together."""

    def __init__(self, config: Config) -> None:
        self._tables = config.tables
        self._first: tuple[int, Labels] | None = None
        self.synthetic = False  # whether a table read so far is

    def read(self, year: int) -> MRIO:
        table = readers.read(self._tables, year)
        self.synthetic |= table.provenance.synthetic
        self._first = self._first or (year, table.labels)
        readers.refuse_mixed(*self._first, year, table.labels)
        return table
