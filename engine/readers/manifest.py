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
class Spelt:
    """Industries in a text array of the npz file, each a sector, a sign and its region."""

    array: str
    sign: str


@dataclass(frozen=True, slots=True)
class Files:
    """Which files hold which years.

    Attributes:
        file: npz file, or text file of an array, relative to the root; holds `{year}` when there is
            one npz file a year, `{array}` when there is a text file an array.
        years: name of the array of years when one npz file holds several of them, else empty.
        year: the year, where there is one.
        separator: between the cells of text files, else empty.
    """

    file: str
    years: str = ""
    year: int | None = None
    separator: str = ""

    def named(self, year: int) -> str:
        """The npz file of a year."""
        return self.file.replace("{year}", str(year))

    def of_array(self, array: str) -> str:
        """The text file of an array."""
        return self.file.replace("{array}", array)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where the arrays and labels of every year are.

    Attributes:
        files: where the arrays are.
        Z: name of the deliveries, (n,n), behind a years axis if there is one, as all arrays are.
        per_output: whether `Z` holds coefficients and `emissions` intensities instead.
        Y: name of final demand, (n, regions x categories), or of one (n,) array for each column.
        output: name of the publisher's own output, (n,); empty if there is none.
        value_added: name of what makes output of a column of `Z`, (rows,n) or (n,), else empty.
        emissions: name of one (k,n) array, or of one (n,) array for each stressor.
        direct: the same for the consumers' direct emissions, (k,r) or (r,); None if there are none.
        regions, stressors, units: where the labels are.
        sectors: likewise, of every region; or the industries themselves.
        categories: number of final-demand categories of each region.
        currency: unit of Z and Y, with the price basis.
        source, version, licence, synthetic: provenance.
        sha256: expected hash of files, by name relative to the root.
    """

    files: Files
    Z: str
    per_output: bool
    Y: str | tuple[str, ...]
    output: str
    value_added: str
    emissions: str | tuple[str, ...]
    direct: str | tuple[str, ...] | None
    regions: LabelSource
    sectors: LabelSource | Spelt
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
    files = _files(top.section("files", *_FORMS, "years", "year", "separator"))
    arrays = top.section("arrays", "Z", "A", "Y", "output", "value_added")
    matrix = _one_of(arrays, "Z", "A")
    labels = top.section(
        "labels", "regions", "sectors", "industries", "final_demand_categories", "currency"
    )
    stressors = top.section("stressors", "names", "units", "emissions", "intensities", "direct")
    emissions = {"Z": "emissions", "A": "intensities"}[matrix]
    for key in {"emissions", "intensities"} & set(stressors.content) - {emissions}:
        raise stressors.wrong(key, f"does not go with arrays.{matrix}", f"give {emissions}")
    provenance = top.section("provenance", "source", "version", "licence", "synthetic")
    return Manifest(
        files=files,
        Z=arrays.text(matrix),
        per_output=matrix == "A",
        Y=arrays.array_names("Y"),
        output=arrays.text("output") if "output" in arrays.content else "",
        value_added=arrays.text("value_added") if "value_added" in arrays.content else "",
        emissions=stressors.array_names(emissions),
        direct=stressors.array_names("direct") if "direct" in stressors.content else None,
        regions=labels.source("regions"),
        sectors=labels.source("sectors")
        if _one_of(labels, "sectors", "industries") == "sectors"
        else labels.spelt("industries"),
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


_FORMS = ("per_year", "all_years", "one_year", "texts")


def _files(files: _Section) -> Files:
    """Which of the forms it is, and what belongs to it."""
    form = _one_of(files, *_FORMS)
    beside = {"all_years": {"years"}, "one_year": {"year"}, "texts": {"year", "separator"}}
    for key in files.content:
        if key != form and key not in beside.get(form, set()):
            raise files.wrong(key, f"has no use beside {form}", "leave it out")
    file = files.file(form)
    held = {"per_year": "{year}", "texts": "{array}"}.get(form, "")
    if held and not (file.count(held) == file.count("{") == file.count("}") == 1):
        raise files.wrong(
            form, f"{file!r} must hold {held} once", f'write such as "table_{held}.npz"'
        )
    match form:
        case "all_years":
            return Files(file, years=files.text("years"))
        case "one_year":
            return Files(file, year=files.count("year"))
        case "texts":
            separator = files.text("separator", blank=True) if "separator" in files.content else ""
            return Files(file, year=files.count("year"), separator=separator or "\t")
        case _:
            return Files(file)


def _one_of(section: _Section, *keys: str) -> str:
    """Which one of some keys is there."""
    found = [key for key in keys if key in section.content]
    if len(found) != 1:
        given = " and ".join(found) or "none"
        raise section.wrong("", f"needs one of {', '.join(keys)}, has {given}", "write one of them")
    return found[0]


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

    def text(self, key: str, *, blank: bool = False) -> str:
        value: str = self._get(key, str, '"text"')
        if not value.strip() and not (blank and value):
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
            raise self.wrong(key, f"is {value}", "give a whole number, 1 or more")
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

    def spelt(self, key: str) -> Spelt:
        place = _Section(self.content[key], self.where, f"{self.name}.{key}", "array", "sign")
        return Spelt(place.text("array"), place.text("sign"))

    def hashes(self, key: str) -> dict[str, str]:
        pins = self.content.get(key, {})
        if type(pins) is not dict or not all(_SHA256.fullmatch(str(pin)) for pin in pins.values()):
            raise self.wrong(
                key, "is not a table of file hashes", '"name.npz" = "64 hexadecimal digits"'
            )
        return dict(pins)


_LABEL_KEYS = ("array", "json", "key", "field")
_SHA256 = re.compile("[0-9a-f]{64}")
