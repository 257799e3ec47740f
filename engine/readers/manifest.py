"""What an arrays manifest says, parsed once from TOML into frozen types; docs/arrays.md shows one.

Unknown keys are refused with the nearest known one named, so that a misspelt `direct` cannot
quietly drop the households' emissions.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import ConfigError
from engine.readers.files import read_bytes, stays_inside
from engine.readers.nearest import nearest


@dataclass(frozen=True, slots=True)
class Inline:
    """Labels written in the manifest itself."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FromArray:
    """Labels in a one-dimensional text array of the npz file."""

    array: str


@dataclass(frozen=True, slots=True)
class FromJson:
    """Labels in a JSON file: the list under `key`, of texts, or of objects with a text `field`."""

    file: str
    key: str
    field: str


LabelSource = Inline | FromArray | FromJson


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where the arrays and labels of every year are.

    Attributes:
        file: npz file, relative to the root; holds `{year}` when there is one file a year.
        years: name of the array of years when one file holds all of them, else empty.
        Z, Y: array names; (n,n) and (n, regions x categories), behind a years axis if `years`.
        output: name of the publisher's own output, (n,); empty if there is none.
        emissions: name of one (k,n) array, or of one (n,) array for each stressor.
        direct: the same for the consumers' direct emissions, (k,r) or (r,); None if there are none.
        regions, sectors, stressors, units: where the labels are.
        categories: number of final-demand categories of each region.
        currency: unit of Z and Y, with the price basis.
        source, version, licence, synthetic: provenance.
        sha256: expected hash of files, by name relative to the root.
    """

    file: str
    years: str
    Z: str
    Y: str
    output: str
    emissions: str | tuple[str, ...]
    direct: str | tuple[str, ...] | None
    regions: LabelSource
    sectors: LabelSource
    stressors: LabelSource
    units: LabelSource
    categories: int
    currency: str
    source: str
    version: str
    licence: str
    synthetic: bool
    sha256: Mapping[str, str]


def read_manifest(path: Path) -> Manifest:
    """Parse and check the manifest at `path`.

    Raises:
        TableError: the file cannot be read.
        ConfigError: it is not TOML, a key is unknown, missing or of the wrong kind, or a path
            leaves the root.
    """
    try:
        content = tomllib.loads(read_bytes(path).decode())
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"is not TOML in UTF-8 ({error})", where=str(path), remedy="see docs/arrays.md"
        ) from error
    top = _Section(
        content, str(path), "", "files", "arrays", "labels", "stressors", "provenance", "sha256"
    )
    file, years = _place(top.section("files", "per_year", "all_years", "years"))
    arrays = top.section("arrays", "Z", "Y", "output")
    labels = top.section("labels", "regions", "sectors", "final_demand_categories", "currency")
    stressors = top.section("stressors", "names", "units", "emissions", "direct")
    provenance = top.section("provenance", "source", "version", "licence", "synthetic")
    return Manifest(
        file=file,
        years=years,
        Z=arrays.text("Z"),
        Y=arrays.text("Y"),
        output=arrays.text("output") if "output" in arrays.content else "",
        emissions=stressors.array_names("emissions"),
        direct=stressors.array_names("direct") if "direct" in stressors.content else None,
        regions=labels.source("regions"),
        sectors=labels.source("sectors"),
        stressors=stressors.source("names"),
        units=stressors.source("units"),
        categories=labels.count("final_demand_categories"),
        currency=labels.text("currency"),
        source=provenance.text("source"),
        version=provenance.text("version"),
        licence=provenance.text("licence"),
        synthetic=provenance.flag("synthetic"),
        sha256=top.hashes("sha256"),
    )


def _place(files: _Section) -> tuple[str, str]:
    """The npz file, and the name of its array of years where it holds all of them."""
    if len({"per_year", "all_years"} & set(files.content)) != 1:
        raise files.wrong(
            "", "needs either per_year or all_years", 'write per_year = "table_{year}.npz"'
        )
    if "all_years" in files.content:
        return files.file("all_years"), files.text("years")
    if "years" in files.content:
        raise files.wrong("years", "has no use beside per_year", "leave it out")
    file = files.file("per_year")
    if file.count("{year}") != 1 or file.count("{") != 1 or file.count("}") != 1:
        raise files.wrong(
            "per_year", f"{file!r} must hold {{year}} once", 'write such as "table_{year}.npz"'
        )
    return file, ""


class _Section:
    """One TOML table of the manifest; every fault names the file and the key."""

    def __init__(self, content: Mapping[str, Any], where: str, name: str, *known: str) -> None:
        self.content, self.where, self.name = content, where, name
        for key in content:
            if key not in known:
                raise self.wrong(key, "is not a key of the manifest", nearest(key, known))

    def wrong(self, key: str, what: str, remedy: str) -> ConfigError:
        place = ".".join(part for part in (self.name, key) if part)
        return ConfigError(what, where=f"{self.where}, {place}", remedy=remedy)

    def _get(self, key: str, kind: type, example: str) -> Any:
        if key not in self.content:
            raise self.wrong(key, "is missing", f"write {key} = {example}")
        value = self.content[key]
        if type(value) is not kind:
            raise self.wrong(key, f"{value!r} has the wrong type", f"write {key} = {example}")
        return value

    def section(self, key: str, *known: str) -> _Section:
        if type(self.content.get(key)) is not dict:
            raise self.wrong(key, "is not a table of the manifest", f"add [{key}]")
        return _Section(self.content[key], self.where, key, *known)

    def text(self, key: str) -> str:
        value: str = self._get(key, str, '"text"')
        if not value.strip():
            raise self.wrong(key, "is empty", "fill it in")
        return value

    def file(self, key: str) -> str:
        value = self.text(key)
        if not stays_inside(value):
            raise self.wrong(key, f"{value!r} leaves the folder of the data", "name a file in it")
        return value

    def count(self, key: str) -> int:
        value: int = self._get(key, int, "5")
        if value < 1:
            raise self.wrong(
                key, f"is {value}", "give the number of columns of a region, 1 or more"
            )
        return value

    def flag(self, key: str) -> bool:
        value: bool = self._get(key, bool, "true") if key in self.content else False
        return value

    def text_list(self, key: str) -> tuple[str, ...]:
        value = self._get(key, list, '["text", "text"]')
        if not value or any(type(item) is not str or not item.strip() for item in value):
            raise self.wrong(key, "is not a list of texts", 'write ["text", "text"]')
        return tuple(value)

    def array_names(self, key: str) -> str | tuple[str, ...]:
        if type(self.content.get(key)) is not list:
            return self.text(key)
        names = self.text_list(key)
        if len(set(names)) < len(names):
            raise self.wrong(key, "names an array twice", "name each stressor's own array")
        return names

    def source(self, key: str) -> LabelSource:
        if type(self.content.get(key)) is not dict:
            return Inline(self.text_list(key))
        place = _Section(self.content[key], self.where, f"{self.name}.{key}", *_LABEL_KEYS)
        if "array" not in place.content:
            field = place.text("field") if "field" in place.content else ""
            return FromJson(place.file("json"), place.text("key"), field)
        if len(place.content) > 1:
            raise place.wrong("array", "excludes json, key and field", "keep one of the two")
        return FromArray(place.text("array"))

    def hashes(self, key: str) -> dict[str, str]:
        pins = self.content.get(key, {})
        if type(pins) is not dict or not all(_SHA256.fullmatch(str(pin)) for pin in pins.values()):
            raise self.wrong(
                key, "is not a table of file hashes", '"name.npz" = "64 hexadecimal digits"'
            )
        return dict(pins)


_LABEL_KEYS = ("array", "json", "key", "field")
_SHA256 = re.compile("[0-9a-f]{64}")
