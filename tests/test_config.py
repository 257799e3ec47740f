"""Configuration: what is good is read exactly, what is wrong is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs import SMALL, written
from engine.clusters import Executor
from engine.config import Config, load_config
from engine.error_model import AR1, Constant, Persistent, PowerLaw
from engine.errors import ConfigError, InputError


def load(folder: Path, text: str) -> Config:
    return load_config(written(folder, text))


def test_a_good_configuration_is_read_exactly(tmp_path: Path) -> None:
    config = load(tmp_path, SMALL)
    assert config.name == "small"
    assert config.sampling.years == (2000, 2001, 2002)
    assert (config.sampling.draws, config.sampling.block) == (448, 64)
    assert [consumer.members for consumer in config.question.consumers] == [("R0",), ("R0", "R1")]
    (scenario,) = config.scenarios
    emissions, deliveries = scenario.errors
    assert emissions.size == Constant(0.1)
    assert emissions.components[0].time == Persistent()
    assert deliveries.components[0].time == AR1(0.8)
    assert deliveries.components[0].group == ("cell",)
    assert config.cluster.executor is Executor.THREADS


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("draws = 448", "drawz = 448", "unknown key `drawz`; did you mean `draws`?"),
        ("[sampling]", "[samplin]", "unknown key `samplin`; did you mean `sampling`?"),
        ("rsd = 0.1", "rds = 0.1", "unknown key `rds`; did you mean `rsd`?"),
        ('world = "random"', 'wrold = "random"', "did you mean `world`?"),
        ("seed = 7", 'seed = "7"', "sampling.seed"),
        ("seed = 7", "seed = 7.5", "sampling.seed"),
        ("seed = 7", "", "any whole number"),
        ("draws = 448", "draws = 0", "0 draws cannot be made"),
        ("draws = 448", "draws = 5000000000", "cannot be made"),
        ("block = 64", "block = 65", "whole number of groups"),
        ("rsd = 0.1", "rsd = -0.1", "-0.1 cannot be used"),
        ("rsd = 0.1", "rsd = nan", "scenarios.base.errors.0.rsd"),
        ("rsd = 0.1", 'rsd = "0.1"', "scenarios.base.errors.0.rsd"),
        ("rsd = 0.1", "", "given 0 times"),
        ("rsd = 0.1", 'rsd = 0.1\nfile = "x.npy"', "given 2 times"),
        ("rsd = 0.1", 'file = "x.npy"', "cannot be read"),
        ("rsd = 0.1", 'table = "x.csv"', "x.csv"),
        (', time = "persistent"', "", "there is no default"),
        ('time = "persistent"', 'time = "often"', "time"),
        ("ar1 = 0.8", "ar1 = 1.0", "use `persistent`"),
        ("ar1 = 0.8", "ar1 = 0.8, period = [2000]", "either `ar1` or `period`"),
        ('source = "assumption"', "", "source"),
        ('source = "assumption"', 'source = ""', "no source is stated"),
        ("weight = 0.5", "weight = 0.4", "add up to 0.9"),
        ('"accounts"', '"acounts"', "method.perturb"),
        ('quantity = "Z"', 'quantity = "A"', "not perturbed by the method `accounts`"),
        ('quantity = "Z"', 'quantity = "E"', "share errors"),
        ('["stressor", "region"]', '["stressor", "row_region"]', "E has no `row_region`"),
        ("[2000, 2001, 2002]", "[2001, 2000]", "not ascending"),
        ("[2000, 2001, 2002]", "[]", "not ascending"),
        ("[2000, 2001, 2002]", "{ first = 2005, last = 2000 }", "not ascending"),
        ("[2000, 2001, 2002]", "2000", "tables.years"),
        ('consumers = ["R0", "pair"]', "consumers = []", "one or more consumers"),
        ('consumers = ["R0", "pair"]', 'consumers = ["R0", "R0"]', "one or more consumers"),
        ('members = ["R0", "R1"]', "", "either `members` or `standard`"),
        ('members = ["R0", "R1"]', 'standard = "EU99"', "no standard group `EU99`"),
        ('reader = "toy"', 'reader = "toys"', "tables.reader"),
        ("[method]", "[method]\nr_max = 1.5", "method.r_max"),
        ("[method]", "[method]\nr_max = 0.99991", "at most 0.9999"),
        ("[method]", "[method]\nr_max = 0.0", "method.r_max"),
        ('members = ["R0", "R1"]', "members = []", "groups.pair.members: is empty"),
        ("ar1 = 0.8", "ar1 = 0.8, window = [1900, 2100]", "unknown key `window`"),
        ("rsd = 0.1", "rsd = 0.1\nonly = { stressor = [] }", "no label is listed"),
        ("rsd = 0.1", 'rsd = 0.1\nonly = { region = ["R0", "R0"] }', "R0 is listed 2 times"),
        ("[cluster]", '[cluster]\nexecutor = "cloud"', "cluster.executor"),
        ('name = "national"', 'name = ""', "a component cannot be called ''"),
        ('name = "national"', r'name = "a\u0000b"', "a component cannot be called 'a\\x00b'"),
        ("rsd = 0.1", r'table = "a\u0000b.csv"', "holds a NUL"),
        ("rsd = 0.1", "rsd = -1.0", "scenario base, errors of E"),
        (
            "rsd = 0.1",
            "rsd = 0.1\npower_law = { a = 1.0, b = 1.0, floor = 0.1, ceiling = 1.0, "
            'currency = "EUR", per_table_unit = 1.0 }',
            "scenario base, errors of E",
        ),
        ("[cluster]", "[detection]\nconfidence = 95\n[cluster]", "detection.confidence"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SMALL
    with pytest.raises(InputError) as caught:
        load(tmp_path, SMALL.replace(old, new, 1))
    assert message in str(caught.value)
    assert caught.value.remedy
    assert caught.value.exit_code == 2


PURCHASES = '[purchases.acme]\nfile = "acme.csv"\nhome = ["R0"]\n'
INDICATOR = '[indicators.GHG]\nunit = "kt"\nweights = { S0 = 1.0 }\nsource = "assumption"\n'


def test_what_is_missing_or_misspelt_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seed: is missing") as caught:
        load(tmp_path, re.sub("(?m)^seed.*\n", "", SMALL))
    assert "reproducible" in caught.value.remedy
    with pytest.raises(ConfigError, match="title: is missing") as caught:
        load(tmp_path, re.sub("(?m)^title.*\n", "", SMALL))
    assert caught.value.remedy == "add `title`"
    with pytest.raises(ConfigError, match=r"tables\.reader") as caught:
        load(tmp_path, SMALL.replace('reader = "toy"', 'reader = "exiobase"'))
    assert caught.value.remedy == "did you mean `exiobase3`?"


def test_every_name_has_one_meaning(tmp_path: Path) -> None:
    assert load(tmp_path, SMALL + PURCHASES + INDICATOR)
    for section in (PURCHASES.replace("acme]", "pair]"), INDICATOR.replace("GHG]", "pair]")):
        with pytest.raises(ConfigError, match=r"`pair` is already .* \[groups\]") as caught:
            load(tmp_path, SMALL + section)
        assert ".pair" in caught.value.where
    with pytest.raises(ConfigError, match=r"`acme` is already .* \[purchases\]"):
        load(tmp_path, SMALL + PURCHASES + INDICATOR.replace("GHG]", "acme]"))


@pytest.mark.parametrize(
    ("section", "place"),
    [
        (PURCHASES.replace('["R0"]', "[]"), "purchases.acme.home"),
        (INDICATOR.replace("{ S0 = 1.0 }", "{}"), "indicators.GHG.weights"),
    ],
)
def test_empty_lists_are_named(tmp_path: Path, section: str, place: str) -> None:
    with pytest.raises(ConfigError, match="is empty") as caught:
        load(tmp_path, SMALL + section)
    assert place in caught.value.where
    assert caught.value.remedy != "correct the value"


@pytest.mark.parametrize("name", ["b", "0", "Base-2_low.v1", "a" * 64, "rep", "console", "com10"])
def test_scenario_names_that_are_folder_names(tmp_path: Path, name: str) -> None:
    (scenario,) = load(tmp_path, SMALL.replace("scenarios.base", f'scenarios."{name}"')).scenarios
    assert scenario.name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-r",
        "../elsewhere",
        "a/b",
        "a\\\\b",
        "a b",
        "a:b",
        "a*",
        "ü",
        "a\\n",
        "a.",
        "a" * 65,
        "report",
        "report-base",
        "Reports",
        "run.json",
        "con",
        "NUL",
        "aux.txt",
        "COM1",
        "lpt9.x",
    ],
)
def test_scenario_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a scenario cannot be called") as caught:
        load(tmp_path, SMALL.replace("scenarios.base", f'scenarios."{name}"'))
    assert "scenarios." in caught.value.where
    assert "letters, digits" in caught.value.remedy


def test_scenarios_differ_by_more_than_capitals(tmp_path: Path) -> None:
    other = SMALL[SMALL.index("[[scenarios") :].replace("scenarios.base", "scenarios.Base")
    with pytest.raises(ConfigError, match="differs from the scenario `base` by capitals"):
        load(tmp_path, SMALL + other)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("row_region,rsd\nR0,0.1\n", "E has no `row_region`"),
        ("region,rsd\nR0,0.1\nR1,200\n", "200 cannot be used"),
        ("region,rsd\nR0,1e-9\n", "R0: a relative standard deviation of 1e-09"),
        ("region,u_min,u_max\nR0,-1,1\n", "negative"),
    ],
)
def test_errors_of_a_table_of_sizes_name_its_file(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "sizes.csv").write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path, SMALL.replace("rsd = 0.1", 'table = "sizes.csv"'))
    assert str(tmp_path / "sizes.csv") in caught.value.where


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "absent.toml")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(tmp_path, "title = ")
    latin = tmp_path / "latin.toml"
    latin.write_bytes('title = "Müll"'.encode("latin-1"))
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(latin)
    with pytest.raises(ConfigError):
        load_config(tmp_path)


def test_the_nearest_file_is_named(tmp_path: Path) -> None:
    written(tmp_path, SMALL, "laptop.toml")
    with pytest.raises(ConfigError, match=r"laptop\.toml"):
        load_config(tmp_path / "latpop.toml")


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text("\ufeff" + SMALL)
    assert load_config(path).title == "a small random world"


def test_paths_are_relative_to_the_file_and_may_name_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SMALL.replace(
        'reader = "toy"\nworld = "random"',
        'reader = "arrays"\nmanifest = "m.toml"\nroot = "${TABLES_HERE}/wiod"',
    )
    with pytest.raises(ConfigError, match="TABLES_HERE is not set"):
        load(tmp_path, text)
    monkeypatch.setenv("TABLES_HERE", "/somewhere")
    source = load(tmp_path, text).tables
    assert source.manifest == tmp_path / "m.toml"
    assert source.root == Path("/somewhere/wiod")


def test_error_sizes_from_a_csv_and_a_power_law(tmp_path: Path) -> None:
    (tmp_path / "rsd.csv").write_text("region,rsd\nR0,0.1\nR1,0.2\n")
    law = "power_law = { a = 0.4, b = -0.3, floor = 0.02, ceiling = 1.0, currency = 'GBP', "
    text = SMALL.replace("rsd = 0.1", 'table = "rsd.csv"').replace(
        "rsd = 0.2", law + "per_table_unit = { 2000 = 0.6, 2001 = 0.7 } }"
    )
    by_label, power = (entry.size for entry in load(tmp_path, text).scenarios[0].errors)
    assert by_label.rsd == {("R0",): 0.1, ("R1",): 0.2}
    assert isinstance(power, PowerLaw)
    assert power.conversion(2001) == 0.7
    with pytest.raises(ConfigError, match="no currency conversion for 2002"):
        power.conversion(2002)
    with pytest.raises(ConfigError, match="per_table_unit of 2001: 0 is not positive"):
        load(tmp_path, text.replace("2001 = 0.7", "2001 = 0.0"))
    emissions = SMALL.replace("rsd = 0.1", law + "per_table_unit = 1.0 }")
    with pytest.raises(ConfigError, match="flows of E are no money"):
        load(tmp_path, emissions)


def test_the_standard_groups_have_twenty_seven_members_each() -> None:
    from engine.readers.groups import STANDARD_GROUPS

    for groups in STANDARD_GROUPS.values():
        old, new = set(groups["EU27_2007"]), set(groups["EU27_2020"])
        assert len(old) == len(new) == 27
        assert len(old - new) == len(new - old) == 1
    assert "GBR" in STANDARD_GROUPS["iso3"]["EU27_2007"]
    assert "HRV" in STANDARD_GROUPS["iso3"]["EU27_2020"]


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_damaged_text_gives_one_clear_error_or_a_configuration(
    tmp_path: Path, data: st.DataObject
) -> None:
    """Cut, repeat or replace a piece of a valid file: never anything but an InputError."""
    start = data.draw(st.integers(0, len(SMALL)))
    end = data.draw(st.integers(start, min(len(SMALL), start + 40)))
    piece = data.draw(st.sampled_from(["", "\x00", "=", "[[", "1e999", '"', "[]", "{}", "-", "ü"]))
    text = SMALL[:start] + piece + SMALL[end:]
    complaint = None
    try:
        load(tmp_path, text)
    except InputError as error:
        complaint = error
    if complaint is None:
        tomllib.loads(text)
    else:
        assert str(tmp_path) in str(complaint)
        assert complaint.remedy
