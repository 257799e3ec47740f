"""Run folders: where a run lives, and what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from engine.config import Config
from engine.errors import ConfigError, StoreError
from engine.stores.durable import storing
from engine.stores.ensemble import Ensemble, open_ensemble
from engine.stores.places import Place, Remote, place
from engine.stores.record import Record, read_record


def run_folder(config: Config) -> Path:
    """Where a configuration's run lives unless the user says otherwise: `runs/<name>`."""
    return Path("runs") / config.name


def folder_of(run: str | Path | Remote) -> Place:
    """A run folder, given itself or the configuration it came from."""
    found = place(run)
    if isinstance(found, Path) and found.suffix == ".toml":
        return Path("runs") / found.stem
    return found


def on_this_machine(folder: str | Path | Remote, what: str) -> Path:
    """A folder that is to hold something which is only ever written to a disk.

    Raises:
        ConfigError: it is a URL.
    """
    found = place(folder)
    if isinstance(found, Remote):
        raise ConfigError(
            f"{what} is written to a disk", where=str(found), remedy="name a local folder"
        )
    return found


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, local or in an object store, and the scenarios in it."""

    folder: Place
    record: Record

    def ensemble(self, scenario: str | None = None) -> Ensemble:
        """The stored ensemble of a scenario, of the first one if none is named.

        Raises:
            StoreError: there is no such scenario in this run.
        """
        names = self.record.scenarios
        name = scenario or names[0]
        if name not in names:
            raise StoreError(
                f"there is no scenario `{name}`",
                where=str(self.folder),
                remedy=f"it has {', '.join(names)}",
            )
        return open_ensemble(self.folder / name)

    def open(self, scenario: str | None = None) -> xr.Dataset:
        """The labelled ensemble of a scenario, read from disk as it is used.

        Raises:
            StoreError: it is not complete; running again completes it.
        """
        return self.ensemble(scenario).dataset()

    def load(self, scenario: str | None = None, without: Sequence[str] = ()) -> xr.Dataset:
        """The same, read into memory at once.

        Args:
            without: variables that are left where they are, if there.

        Raises:
            StoreError: it is not complete, or damaged on disk.
        """
        try:
            with storing(self.folder), self.open(scenario) as ensemble:
                return ensemble.drop_vars(without, errors="ignore").load()
        except (RuntimeError, ValueError) as error:  # what zarr's codecs raise on damaged bytes
            raise StoreError(
                f"a block is damaged ({error})",
                where=str(self.folder),
                remedy="`footfall status --verify` names it, then `footfall run` computes it anew",
            ) from error


def open_run(folder: str | Path | Remote) -> Run:
    """An existing run folder, a path or a URL such as "s3://bucket/runs/wiod13".

    Raises:
        StoreError: it holds no run.
    """
    found = place(folder)
    return Run(found, read_record(found))
