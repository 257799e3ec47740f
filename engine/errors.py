"""Everything footfall raises on purpose: what went wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class FootfallError(Exception):
    """Base of all errors footfall raises on purpose.

    `what` says what is wrong, `where` names the place (file, year, region, sector, cell, key),
    `remedy` says what to do. `exit_code` is what the command line returns.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n  remedy: {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Workers send these back to the client, and the default would lose the keywords.
        return (_rebuild, (type(self), self.what, self.where, self.remedy))


def _rebuild(kind: type[FootfallError], what: str, where: str, remedy: str) -> FootfallError:
    return kind(what, where=where, remedy=remedy)


@contextmanager
def within(place: str) -> Iterator[None]:
    """An `InputError` raised inside names `place` as well, if it does not yet."""
    try:
        yield
    except InputError as error:
        if place in error.where:
            raise
        where = f"{place}, {error.where}" if error.where else place
        raise type(error)(error.what, where=where, remedy=error.remedy) from error


class InputError(FootfallError):
    """The user's input cannot be used; nothing was written."""

    exit_code = 2


class ConfigError(InputError):
    """The configuration is wrong or incomplete."""


class TableError(InputError):
    """A table, or a file that should hold one, is wrong."""


class PlanError(InputError):
    """The run cannot fit the machine or cluster it was planned for."""


class FetchError(FootfallError):
    """A publisher's file could not be had; what has come is kept."""


class StoreError(FootfallError):
    """The run folder cannot be read or written."""


class DriftError(StoreError):
    """The ensemble on disk belongs to other tables, errors, methods or seeds."""

    exit_code = 2


class LockedError(StoreError):
    """Another run is writing this ensemble."""


class RunError(FootfallError):
    """The run stopped before it was complete; what is written is safe."""


class StoppedError(RunError):
    """The run stopped for a reason that is not its own; the same command goes on with it."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


class WorkerDiedError(RunError):
    """The workers that tried one task died, each time."""
