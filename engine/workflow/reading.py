"""The tables of a run, read one by one and held together."""

from __future__ import annotations

from engine import readers
from engine.config import Config
from engine.mrio import MRIO, Labels, silent
from engine.readers import Aggregated


class Reader:
    """Reads tables and refuses years that do not belong together."""

    def __init__(self, config: Config) -> None:
        self._tables, self._years = config.tables, config.sampling.years
        self._first: tuple[int, Labels] | None = None
        self.synthetic = False  # whether a table read so far is
        self.silent = ""  # regions of the last one without emissions, in words

    def read(self, year: int) -> MRIO:
        self._refuse_missing()
        return self._held(readers.read(self._tables, year))

    def read_both(self, year: int) -> tuple[MRIO, MRIO | None]:
        """The table, and the full one where it is folded and that fits into memory."""
        self._refuse_missing()
        tables = self._tables
        if isinstance(tables, Aggregated) and (full := readers.full(tables, year)) is not None:
            return self._held(readers.aggregated(full, tables.by)), full
        return self.read(year), None

    def _refuse_missing(self) -> None:
        """Before the first table is read, which may take minutes: are there all the others?"""
        if self._first is None:
            there = readers.years(self._tables)
            for year in self._years:
                if year not in there:
                    readers.read(self._tables, year)  # which says so in its own words

    def _held(self, table: MRIO) -> MRIO:
        self.synthetic |= table.provenance.synthetic
        if (found := silent(table)) is not None:
            self.silent = f"{found.kind}: {found.detail}, in {table.year}"
        self._first = self._first or (table.year, table.labels)
        readers.refuse_mixed(*self._first, table.year, table.labels)
        return table
