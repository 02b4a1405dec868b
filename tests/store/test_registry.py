import json

import pytest

from mobileopt.errors import StoreError
from mobileopt.store import StoreWarning, registry

EXTERNAL = {"external": True}


def listed(params, version="1", **more):
    return {"name": "x.track", "version": version, "params": params, "unit": "s"} | more


def write(root, text):
    root.mkdir(exist_ok=True)
    (root / "benchmarks.json").write_text(text)


def params(root):
    return registry.read(root)["x.track"]["params"]


def test_a_benchmark_that_is_added_can_be_read_and_is_listed_as_asv_lists_it(tmp_path):
    registry.add(tmp_path, {"x.track": listed([["'a'"]])})
    assert registry.read(tmp_path) == {"x.track": listed([["'a'"]])}
    assert json.loads((tmp_path / "benchmarks.json").read_text())["version"] == 2


def test_parameters_are_only_ever_appended_within_one_version(tmp_path):
    registry.add(tmp_path, {"x.track": listed([["'a'", "'b'"]], **EXTERNAL)})
    registry.add(tmp_path, {"x.track": listed([["'c'", "'a'"]], **EXTERNAL)})
    assert params(tmp_path) == [["'a'", "'b'", "'c'"]]
    registry.add(tmp_path, {"x.track": listed([["'c'"]], "2", **EXTERNAL)})
    assert params(tmp_path) == [["'c'"]]
    registry.add(tmp_path, {"x.track": listed([["'c'"], ["1"]], "2", **EXTERNAL)})
    assert params(tmp_path) == [["'c'"], ["1"]]


def test_what_asv_discovered_is_asvs_to_change(tmp_path):
    registry.save(tmp_path, {"x.track": listed([["'a'"]])})
    registry.add(tmp_path, {"x.track": listed([["'b'"]], **EXTERNAL)})
    assert params(tmp_path) == [["'a'"]]


def test_a_discovery_drops_what_asv_no_longer_has_and_nothing_registered_by_us(tmp_path):
    registry.add(tmp_path, {"x.track": listed([], **EXTERNAL), "gone": listed([])})
    registry.save(tmp_path, {"new": listed([])})
    assert registry.read(tmp_path).keys() == {"x.track", "new"}
    registry.save(tmp_path, {"x.track": listed([["'b'"]])})
    assert registry.read(tmp_path) == {"x.track": listed([["'b'"]])}


def test_nothing_new_writes_nothing_and_waits_for_no_lock(tmp_path):
    registry.add(tmp_path, {"x.track": listed([["'a'"]], **EXTERNAL)})
    (tmp_path / ".lock").unlink()
    before = (tmp_path / "benchmarks.json").stat()
    registry.add(tmp_path, {"x.track": listed([["'a'"]], **EXTERNAL)})
    assert (tmp_path / "benchmarks.json").stat() == before
    assert [path.name for path in tmp_path.iterdir()] == ["benchmarks.json"]


@pytest.mark.parametrize("damage", ["", "[]", '{"x": ', "\0"])
def test_a_damaged_list_is_read_as_empty_and_moved_aside_by_who_writes(tmp_path, damage):
    write(tmp_path, damage)
    with pytest.warns(StoreWarning, match="units and the names of parameters are unknown"):
        assert registry.read(tmp_path) == {}
    with pytest.warns(StoreWarning, match="moved to"):
        registry.add(tmp_path, {"x.track": listed([])})
    assert registry.read(tmp_path).keys() == {"x.track"}


@pytest.mark.parametrize("old", [5, "external", {"external": True, "params": 5}])
def test_an_entry_of_nonsense_gives_way_or_is_left_alone_and_stops_nobody(tmp_path, old):
    write(tmp_path, json.dumps({"x.track": old, "version": 2}))
    registry.add(tmp_path, {"x.track": listed([["'a'"]], **EXTERNAL), "y": listed([])})
    assert registry.read(tmp_path).get("y") == listed([])


@pytest.mark.parametrize(
    "nonsense", [5, "external", listed([5]), {"version": "1"}, {"params": []}, listed("ab")]
)
def test_a_damaged_list_of_another_store_is_refused_by_its_name(tmp_path, nonsense):
    write(tmp_path, json.dumps({"x.track": nonsense, "version": 2}))
    with pytest.raises(StoreError, match=r"x\.track of .*benchmarks\.json"):
        registry.of_another(tmp_path)
