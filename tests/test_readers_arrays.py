"""Arrays and their manifest: what is read, and that everything damaged or unclear is refused."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError, InputError, TableError
from engine.mrio import MRIO, Labels, Provenance
from engine.readers import Arrays, files, read, refuse_mixed, years
from engine.readers.arrays import NO_DIRECT
from engine.readers.npz import read_npz

MANIFEST = """
[files]
per_year = "t_{year}.npz"

[arrays]
Z = "Z"
Y = "Y"
output = "x"

[labels]
regions = { json = "labels.json", key = "regions" }
sectors = { json = "labels.json", key = "industries", field = "code" }
final_demand_categories = 2
currency = "million EUR, current basic prices"

[stressors]
names = ["CO2", "CH4"]
units = ["kt", "t"]
emissions = ["F_co2", "F_ch4"]
direct = ["Fy_co2", "Fy_ch4"]

[provenance]
source = "made up"
version = "1"
licence = "CC0-1.0"
synthetic = true
"""
LABELS = {"regions": ["AA", "BB"], "industries": [{"code": "food"}, {"code": "coal"}]}
STACKED = re.sub(r"per_year = .*", 'all_years = "all.npz"\nyears = "years"', MANIFEST)
DAMAGE = settings(max_examples=150, deadline=None, derandomize=True)


def cells(year: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(year)
    Z = rng.integers(1, 100, (4, 4)).astype(np.int32)
    Y = rng.integers(1, 100, (4, 4)).astype(np.int32)
    emissions = {name: rng.uniform(1, 9, 4) for name in ("F_co2", "F_ch4")}
    direct = {name: rng.uniform(1, 9, 2) for name in ("Fy_co2", "Fy_ch4")}
    return {"Z": Z, "Y": Y, "x": Z.sum(1) + Y.sum(1) + 0.5, **emissions, **direct}


def series(root: Path, manifest: str = MANIFEST) -> Arrays:
    """Two years, one file each, with their manifest beside the folder of the data."""
    data = root / "data"
    data.mkdir(parents=True)
    (data / "labels.json").write_text(json.dumps(LABELS))
    for year in (2000, 2001):
        np.savez(data / f"t_{year}.npz", **cells(year))
    (root / "manifest.toml").write_text(manifest)
    return Arrays(root / "manifest.toml", data)


def rewrite(source: Arrays, **changed: object) -> None:
    """The arrays of the year 2000 with some of them replaced, or left out where None."""
    arrays = {**cells(2000), **changed}
    kept = {name: value for name, value in arrays.items() if value is not None}
    np.savez(source.root / "t_2000.npz", allow_pickle=True, **kept)


def same(one: MRIO, other: MRIO) -> bool:
    assert one.published_output is not None
    assert other.published_output is not None
    return one.sha256 == other.sha256 and np.array_equal(
        one.published_output, other.published_output
    )


# --- what is read ---------------------------------------------------------------------------------


def test_a_series_with_a_file_a_year_is_read_as_written(tmp_path: Path) -> None:
    source = series(tmp_path)
    assert years(source) == (2000, 2001)
    table, wanted = read(source, 2001), cells(2001)
    assert table.labels == Labels(
        regions=("AA", "BB"),
        industries=(("AA", "food"), ("AA", "coal"), ("BB", "food"), ("BB", "coal")),
        stressors=("CO2", "CH4"),
        stressor_units=("kt", "t"),
        currency="million EUR, current basic prices",
    )
    np.testing.assert_array_equal(table.Z, wanted["Z"])
    np.testing.assert_array_equal(table.Y[:, 0], wanted["Y"][:, 0] + wanted["Y"][:, 1])
    np.testing.assert_array_equal(table.Y[:, 1], wanted["Y"][:, 2] + wanted["Y"][:, 3])
    np.testing.assert_array_equal(table.E, [wanted["F_co2"], wanted["F_ch4"]])
    np.testing.assert_array_equal(table.F_Y, [wanted["Fy_co2"], wanted["Fy_ch4"]])
    np.testing.assert_array_equal(table.published_output, wanted["x"])
    assert table.Z.dtype == np.float64


def test_provenance_names_every_file_with_the_hash_of_its_bytes(tmp_path: Path) -> None:
    source = series(tmp_path)
    found = read(source, 2000).provenance
    used = [source.manifest, source.root / "t_2000.npz", source.root / "labels.json"]
    hashes = tuple((f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in used)
    assert found == Provenance("made up", "1", "CC0-1.0", True, hashes)


def stacked(root: Path, manifest: str = STACKED, **extra: object) -> Arrays:
    source = series(root, manifest)
    both = {name: np.stack([cells(2001)[name], cells(2000)[name]]) for name in cells(2000)}
    np.savez(source.root / "all.npz", **{"years": [2001, 2000], **both, **extra})
    return source


def test_a_years_axis_gives_the_same_tables_as_a_file_a_year(tmp_path: Path) -> None:
    apart, together = series(tmp_path / "apart"), stacked(tmp_path / "together")
    assert years(together) == (2000, 2001)
    for year in (2000, 2001):
        assert same(read(apart, year), read(together, year))


def test_emissions_in_one_array_and_labels_in_arrays_give_the_same_tables(tmp_path: Path) -> None:
    manifest = MANIFEST
    for old, new in {
        '{ json = "labels.json", key = "regions" }': '{ array = "r" }',
        '{ json = "labels.json", key = "industries", field = "code" }': '["food", "coal"]',
        '["CO2", "CH4"]': '{ array = "k" }',
        '["F_co2", "F_ch4"]': '"F"',
        '["Fy_co2", "Fy_ch4"]': '"Fy"',
    }.items():
        assert old in manifest
        manifest = manifest.replace(old, new)
    other, c = series(tmp_path / "other", manifest), cells(2000)
    rewrite(
        other,
        F=np.stack([c["F_co2"], c["F_ch4"]]),
        Fy=np.stack([c["Fy_co2"], c["Fy_ch4"]]),
        r=np.array(["AA", "BB"]),
        k=np.array(["CO2", "CH4"]),
    )
    assert same(read(other, 2000), read(series(tmp_path / "one"), 2000))


def test_direct_emissions_left_out_are_zero_and_said_so(tmp_path: Path) -> None:
    source = series(tmp_path, re.sub(r"direct = .*\n", "", MANIFEST))
    table = read(source, 2000)
    np.testing.assert_array_equal(table.F_Y, np.zeros((2, 2)))
    assert NO_DIRECT in table.provenance.source


def test_column_major_arrays_and_other_widths_are_read_alike(tmp_path: Path) -> None:
    source, c = series(tmp_path), cells(2000)
    plain = read(source, 2000)
    rewrite(source, Z=np.asfortranarray(c["Z"].astype(np.float32)), Y=c["Y"].astype(">i8"))
    assert same(read(source, 2000), plain)


# --- manifests that are refused -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("direct =", "dirct =", "stressors.dirct: is not a key.*\n.*did you mean 'direct'"),
        ("[arrays]", "[array]", "array: is not a key.*\n.*did you mean 'arrays'"),
        ('Z = "Z"', "Z = 3", r"arrays.Z: 3 has the wrong type"),
        ('Z = "Z"\n', "", "arrays: needs one of Z, A, has none"),
        ('Z = "Z"', 'Z = " "', "arrays.Z: is empty"),
        ("categories = 2", "categories = true", "True has the wrong type"),
        ("categories = 2", "categories = 0", "is 0"),
        ("synthetic = true", 'synthetic = "yes"', "'yes' has the wrong type"),
        ('["kt", "t"]', '["kt", 7]', "units: is not a list of texts"),
        ('["kt", "t"]', "[]", "units: is not a list of texts"),
        ('["F_co2", "F_ch4"]', '["F_co2", "F_co2"]', "emissions: names an array twice"),
        ("t_{year}.npz", "../t_{year}.npz", "leaves the folder"),
        ("t_{year}.npz", "/t_{year}.npz", "leaves the folder"),
        ("t_{year}.npz", "c:t_{year}.npz", "leaves the folder"),
        ("t_{year}.npz", "t_2000.npz", r"must hold \{year\} once"),
        ("t_{year}.npz", "t_{year}_{x}.npz", r"must hold \{year\} once"),
        ('"labels.json", key = "regions"', '"../l.json", key = "regions"', "leaves the folder"),
        ('json = "labels.json", key = "regions"', 'jsn = "labels.json"', "did you mean 'json'"),
        ('key = "regions"', 'key = "regions", array = "r"', "excludes json"),
        (
            "per_year",
            'all_years = "a.npz"\nper_year',
            "needs one of per_year, all_years, one_year, texts, has per_year and all_years",
        ),
        ("per_year", 'years = "y"\nper_year', "no use beside per_year"),
        ("per_year", "all_years", "files.years: is missing"),
        ("[arrays]", '[sha256]\n"labels.json" = "12"\n[arrays]', "not a table of file hashes"),
        ("[arrays]", "[arrays", "is not TOML"),
        ("made up", "made \udcff up", "is not TOML in UTF-8"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in MANIFEST
    source = series(tmp_path)
    source.manifest.write_text(MANIFEST.replace(old, new), "utf-8", "surrogateescape")
    with pytest.raises(ConfigError, match=message) as caught:
        read(source, 2000)
    assert str(source.manifest) in caught.value.where
    assert caught.value.remedy


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere\.toml: cannot be read"):
        read(Arrays(tmp_path / "nowhere.toml", tmp_path), 2000)


# --- files that are refused -----------------------------------------------------------------------

OBJECTS = np.array([{}, 1, "a", None], dtype=object)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"F_ch4": None, "F_Ch4": 0}, "no array 'F_ch4'.*\n.*did you mean 'F_Ch4'"),
        ({"Z": np.array(7)}, r"array Z has shape \(\).*ask for \(4, 4\)"),
        ({"Z": np.ones((4, 3))}, r"array Z has shape \(4, 3\)"),
        ({"Y": np.ones((4, 6))}, r"array Y has shape \(4, 6\).*\n.*categories"),
        ({"F_co2": OBJECTS}, "F_co2: holds pickled Python objects"),
        ({"F_co2": np.array(["1,5", "2", "3", "4"])}, "F_co2 holds <U3, not numbers"),
        ({"F_co2": np.array([True] * 4)}, "F_co2 holds bool"),
        ({"F_co2": np.array([1j] * 4)}, "F_co2 holds complex128"),
        ({"F_co2": np.array([1, np.nan, 2, 3])}, r"E: cell \(CO2, AA coal\) is nan"),
        ({"Fy_ch4": np.array([1, -np.inf])}, r"F_Y: cell \(CH4, BB\) is -inf"),
        ({"Z": np.full((4, 4), np.inf)}, r"Z: cell \(AA food, AA food\) is inf, and 15"),
        ({"Y": np.array([[np.inf, -np.inf, 1, 1]] * 4)}, r"Y: cell \(AA food, AA\) is nan"),
        ({"x": np.ones(3)}, r"array x has shape \(3,\)"),
    ],
)
def test_a_wrong_array_is_refused_with_file_and_year(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    source = series(tmp_path)
    rewrite(source, **changed)
    with pytest.raises(TableError, match=message) as caught:
        read(source, 2000)
    assert "t_2000.npz" in caught.value.where
    assert caught.value.remedy


class Trap:
    """Pickles to a call that writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.target,)


def test_pickled_objects_are_never_run(tmp_path: Path) -> None:
    source, target = series(tmp_path), tmp_path / "ran"
    rewrite(source, Z=np.array([Trap(target)], dtype=object))
    with pytest.raises(TableError, match="pickled"):
        read(source, 2000)
    assert not target.exists()
    np.load(source.root / "t_2000.npz", allow_pickle=True)["Z"]
    assert target.exists()  # so the trap works


def test_years_that_are_missing_are_named(tmp_path: Path) -> None:
    source = series(tmp_path)
    (source.root / "t_02002.npz").touch()
    with pytest.raises(TableError, match=r"no table of 2002.*\n.*2000, 2001"):
        read(source, 2002)
    with pytest.raises(TableError, match=r"no table of 1999.*\n.*2000, 2001"):
        read(stacked(tmp_path / "stacked"), 1999)
    with pytest.raises(TableError, match=r"holds no file t_\{year\}.npz"):
        years(Arrays(source.manifest, tmp_path / "elsewhere"))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"years": [2000, 2000]}, "different whole years"),
        ({"years": [2000.0, 2001.0]}, "different whole years"),
        ({"years": 2000}, "different whole years"),
        ({"years": [2000, 2001, 2002]}, r"array Z has shape \(2, 4, 4\), not 3 years"),
        ({"x": cells(2000)["x"]}, r"array x has shape \(4,\), not 2 years"),
    ],
)
def test_a_years_axis_that_does_not_fit_is_refused(
    tmp_path: Path, extra: dict[str, object], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        read(stacked(tmp_path, **extra), 2000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"regions": ["AA", "B\udcff"]}', "is not JSON in UTF-8"),
        ('["AA"]', "no list of names under 'regions'"),
        ('{"regons": ["AA"]}', "no list of names under 'regions'.*\n.*did you mean 'regons'"),
        ('{"regions": 5}', "no list of names under 'regions'"),
        ('{"regions": ["AA", 2]}', "no list of names under 'regions'"),
        ('{"regions": ["AA", "AA"], "industries": [{"code": "c"}]}', "AA appears more than once"),
        ('{"regions": ["AA"], "industries": ["c"]}', "no list of names with a text 'code'"),
        ('{"regions": ["AA", "BB"], "industries": [{"code": "c"}]}', r"ask for \(2, 2\)"),
    ],
)
def test_wrong_labels_are_refused(tmp_path: Path, text: str, message: str) -> None:
    source = series(tmp_path)
    (source.root / "labels.json").write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(TableError, match=message) as caught:
        read(source, 2000)
    assert caught.value.where


@pytest.mark.parametrize("labels", [np.array(7), np.array([1, 2]), np.array(["AA", ""])])
def test_label_arrays_that_hold_no_names_are_refused(tmp_path: Path, labels: np.ndarray) -> None:
    manifest = MANIFEST.replace('json = "labels.json", key = "regions"', 'array = "r"')
    source = series(tmp_path, manifest)
    rewrite(source, r=labels)
    with pytest.raises(TableError, match=r"array r .* is not a list of names"):
        read(source, 2000)


def test_one_array_for_each_stressor_is_asked_for(tmp_path: Path) -> None:
    source = series(tmp_path, MANIFEST.replace('["F_co2", "F_ch4"]', '["F_co2"]'))
    with pytest.raises(TableError, match=r"1 arrays .* for 2 stressors"):
        read(source, 2000)


def test_one_unit_for_each_stressor_is_asked_for(tmp_path: Path) -> None:
    source = series(tmp_path, MANIFEST.replace('["kt", "t"]', '["kt"]'))
    with pytest.raises(TableError, match="2 stressors but 1 units"):
        read(source, 2000)


def test_a_file_other_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    source = series(tmp_path)
    pin = hashlib.sha256((source.root / "t_2001.npz").read_bytes()).hexdigest()
    source.manifest.write_text(f'{MANIFEST}\n[sha256]\n"t_2001.npz" = "{pin}"\n')
    read(source, 2001)
    (source.root / "t_2000.npz").replace(source.root / "t_2001.npz")  # a year in another's place
    with pytest.raises(TableError, match=r"t_2001\.npz: is not the file the manifest"):
        read(source, 2001)


# --- unsafe archives ------------------------------------------------------------------------------


def archive(source: Arrays, members: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(source.root / "t_2000.npz", "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members:
            out.writestr(name, content)


@pytest.mark.parametrize("name", ["../Z.npy", "/Z.npy", "a/../../Z.npy", "..\\Z.npy", "C:Z.npy"])
def test_members_that_leave_their_folder_are_refused(tmp_path: Path, name: str) -> None:
    source = series(tmp_path)
    archive(source, [(name, b"")])
    with pytest.raises(TableError, match="has a name that leaves its folder"):
        read(source, 2000)


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    source = series(tmp_path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive(source, [("Z.npy", b"1"), ("Z.npy", b"2")])
    with pytest.raises(TableError, match=r"'Z\.npy' appears twice"):
        read(source, 2000)


def test_an_archive_that_expands_beyond_reason_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = series(tmp_path)
    archive(source, [("Z.npy", bytes(10**6))])
    monkeypatch.setattr(files, "BOMB_SIZE", 10**5)
    with pytest.raises(TableError, match=r"would expand from [0-9]+ to 1000000 bytes"):
        read(source, 2000)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an array"),
        (b"12345678901234567890", "is not an array"),
        (npy(cells(2000)["Z"]).replace(b"(4, 4)", b"(4, 3)"), "holds 64 bytes .* asks for 48"),
        (npy(cells(2000)["Z"]).replace(b"<i4", b"<i2"), "holds 64 bytes .* asks for 32"),
        (npy(cells(2000)["Z"])[:-8], "holds 56 bytes .* asks for 64"),
        (npy(np.zeros(1)).replace(b"(1,)", b"(9**9**9,)"), "is not an array"),
    ],
)
def test_a_member_with_a_wrong_header_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    source = series(tmp_path)
    archive(
        source,
        [(f"{name}.npy", npy(array)) for name, array in cells(2000).items() if name != "Z"]
        + [("Z.npy", content)],
    )
    with pytest.raises(TableError, match=message):
        read(source, 2000)


# --- any damage -----------------------------------------------------------------------------------


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Ways in which disks, downloads and editors spoil a file."""
    kind = draw(st.sampled_from(["truncate", "flip", "overwrite", "insert", "remove", "empty"]))
    spot = draw(st.floats(0, 1, exclude_max=True))
    piece = draw(st.binary(min_size=1, max_size=40))

    def damage(data: bytes) -> bytes:
        at = int(spot * len(data))
        return {
            "truncate": data[:at],
            "flip": data[:at] + bytes([data[at] ^ (1 << piece[0] % 8)]) + data[at + 1 :],
            "overwrite": data[:at] + piece + data[at + len(piece) :],
            "insert": data[:at] + piece + data[at:],
            "remove": data[:at] + data[at + len(piece) :],
            "empty": b"",
        }[kind]

    return damage


def read_or_refuse(source: Arrays) -> MRIO | None:
    """The table, or None where an error says where and what to do; anything else is raised."""
    try:
        return read(source, 2000)
    except InputError as error:
        if not (error.where and error.remedy):
            raise
        return None


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@DAMAGE
@given(damage=damages())
def test_a_damaged_npz_is_refused_or_gives_the_undamaged_table(
    save: Callable[..., None], damage: Callable[[bytes], bytes]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = series(Path(folder))
        path = source.root / "t_2000.npz"
        save(path, **cells(2000))
        whole = read(source, 2000)
        path.write_bytes(damage(path.read_bytes()))
        found = read_or_refuse(source)
        assert found is None or same(found, whole)


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    path = series(tmp_path).root / "t_2000.npz"
    whole, data = read_npz(path), path.read_bytes()
    refused = 0
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        try:
            found = read_npz(path, whole)
        except TableError:
            refused += 1
        else:
            assert all(np.array_equal(found[name], whole[name]) for name in whole)
    with zipfile.ZipFile(io.BytesIO(data)) as members:
        assert refused >= sum(member.file_size for member in members.infolist())


def test_a_damaged_header_that_numpy_alone_believes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.npz"
    np.savez(path, Z=np.ones(20_000))
    path.write_bytes(path.read_bytes().replace(b"<f8", b"<f4"))
    with np.load(path) as believed:  # it stops half-way, before the checksum
        assert believed["Z"].dtype == np.float32
    with pytest.raises(TableError, match="Bad CRC-32"):
        read_npz(path)


@DAMAGE
@given(damage=damages(), name=st.sampled_from(["t_2000.npz", "labels.json"]))
def test_any_damage_to_a_pinned_file_is_refused(
    damage: Callable[[bytes], bytes], name: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = series(Path(folder))
        whole = read(source, 2000)
        pins = [f'"{n}" = "{h}"' for n, h in whole.provenance.files if n != source.manifest.name]
        source.manifest.write_text(f"{MANIFEST}\n[sha256]\n" + "\n".join(pins))
        path = source.root / name
        before = path.read_bytes()
        path.write_bytes(damage(before))
        if path.read_bytes() == before:
            assert same(read(source, 2000), whole)
        else:
            with pytest.raises(TableError, match="is not the file the manifest"):
                read(source, 2000)


@DAMAGE
@given(damage=damages(), which=st.sampled_from(["manifest", "labels"]))
def test_a_damaged_text_file_raises_nothing_but_an_input_error(
    damage: Callable[[bytes], bytes], which: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = series(Path(folder))
        whole = read(source, 2000)
        path = source.manifest if which == "manifest" else source.root / "labels.json"
        path.write_bytes(damage(path.read_bytes()))
        found = read_or_refuse(source)
        if found is not None and path != source.manifest:
            # Names can change with a letter, numbers and their places cannot.
            np.testing.assert_array_equal(found.Z, whole.Z)
            np.testing.assert_array_equal(found.E, whole.E)


# --- years that do not go together ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"currency": "million USD"}, "currency 1 is 'million EUR.*' in 2000 and 'million USD'"),
        ({"stressor_units": ("kt", "kt")}, "unit of stressor 2 is 't' in 2000 and 'kt' in 2001"),
        ({"stressors": ("CO2", "N2O")}, "stressor 2 is 'CH4' in 2000 and 'N2O' in 2001"),
        ({"regions": ("BB", "AA")}, "region 1 is 'AA' in 2000 and 'BB' in 2001"),
        ({"regions": ("AA", "BB", "CC")}, "region 3 is absent in 2000 and 'CC' in 2001"),
        (
            {"industries": (("AA", "coal"), ("AA", "food"), ("BB", "food"), ("BB", "coal"))},
            "industry 1 is 'AA food' in 2000 and 'AA coal' in 2001",
        ),
    ],
)
def test_years_with_other_labels_are_refused(
    tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    source = series(tmp_path)
    first, second = read(source, 2000), read(source, 2001)
    refuse_mixed(first.year, first.labels, second.year, second.labels)
    labels = replace(second.labels, **changed)
    r = len(labels.regions)
    other = MRIO(
        2001, labels, second.Z, np.ones((4, r)), second.E, np.ones((2, r)), second.provenance
    )
    with pytest.raises(TableError, match=message):
        refuse_mixed(first.year, first.labels, other.year, other.labels)
