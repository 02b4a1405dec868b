import json
import math
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.errors import StoreError
from mobileopt.store import Benchmark, Store, StoreWarning, cache, frame

from .entries import COMMIT, LATENCY, MACHINE, START, entry, values

OTHER = "b" * 40


def result_file(store, prefix="aaaaaaaa"):
    return next(store.path.glob(f"*/{prefix}-*.json"))


def reads(monkeypatch):
    """The names of the files parsed from now on."""
    seen, original = [], frame.cache.Builder.add

    def add(self, root, path):
        seen.append(path.name)
        original(self, root, path)

    monkeypatch.setattr(frame.cache.Builder, "add", add)
    return seen


def test_a_row_is_one_combination_with_everything_known_about_it(store):
    store.add(entry(0, (1.0, 3.0, 2.0)))
    (row,) = store.frame(samples=True).query("status == 'measured'").to_dict("records")
    expected = {
        "machine": "pixel6",
        "commit": COMMIT,
        "environment": "py3.11-torch2.12",
        "python": "3.11",
        "date": pd.Timestamp("2026-02-01", tz="UTC"),
        "benchmark": LATENCY.name,
        "version": "1",
        "unit": "seconds",
        "model": "resnet18",
        "layout": "nhwc",
        "value": 2.0,
        "status": "measured",
        "n": 3,
        "started_at": pd.Timestamp(START),
    } | {name: MACHINE[name] for name in ("os", "arch", "cpu", "num_cpu", "ram")}
    assert {name: row[name] for name in expected} == expected
    assert row["ci_low"] < 2.0 < row["ci_high"]
    assert list(row["samples"]) == [1.0, 3.0, 2.0]
    assert set(row) == {*expected, "ci_low", "ci_high", "samples"}


def test_an_empty_store_is_an_empty_frame_with_its_columns(store):
    store.path.mkdir()
    found = store.frame(samples=True)
    assert len(found) == 0
    assert {"machine", "commit", "benchmark", "value", "samples"} <= set(found.columns)


def test_failed_skipped_and_measured_combinations_are_told_apart(store):
    store.add(entry(0), entry(1, (), combination=("resnet18", "nchw")))
    found = store.frame().set_index(["model", "layout"]).status.to_dict()
    assert found == {
        ("mobilenet_v2", "nchw"): "skipped",
        ("mobilenet_v2", "nhwc"): "skipped",
        ("resnet18", "nchw"): "failed",
        ("resnet18", "nhwc"): "measured",
    }


def test_each_combination_has_its_own_time(store):
    store.add(entry(0), entry(60, combination=("resnet18", "nchw")))
    found = store.frame().query("status == 'measured'").set_index("layout").started_at
    assert (found["nchw"] - found["nhwc"]).total_seconds() == 60


def test_benchmarks_with_different_parameters_share_a_frame(store):
    threads = Benchmark("t.track", "1", params=(("resnet18",), (1, 4)), param_names=("model", "n"))
    plain = Benchmark("size.track", "1", "bytes")
    store.add(
        entry(0, (1.0,)),
        entry(1, (2.0,), benchmark=threads, combination=("resnet18", 4)),
        entry(2, (3.0,), benchmark=plain, combination=()),
    )
    found = store.frame().query("status == 'measured'").set_index("value")
    assert found.model.astype(object).to_dict()[1.0] == "resnet18"
    # `n` is a column of the frame already: the parameter is put beside it.
    assert found.param_n[2.0] == 4
    assert pd.isna(found.layout[2.0])
    assert pd.isna(found.model[3.0])


def test_parameters_of_a_benchmark_nobody_lists_are_numbered(store):
    store.add(entry())
    (store.path / "benchmarks.json").unlink()
    found = store.frame().query("status == 'measured'")
    assert (found.param0.iloc[0], found.param1.iloc[0]) == ("resnet18", "nhwc")
    assert found.unit.iloc[0] == ""


def test_a_second_read_parses_no_file(store, monkeypatch):
    store.add(entry(0), entry(1, commit=OTHER))
    first = store.frame(samples=True)
    seen = reads(monkeypatch)
    pd.testing.assert_frame_equal(store.frame(samples=True), first)
    assert seen == []


def test_only_the_file_that_changed_is_parsed_again(store, monkeypatch):
    store.add(entry(0, (1.0,)), entry(1, (5.0,), commit=OTHER))
    store.frame()
    seen = reads(monkeypatch)
    store.add(entry(2, (2.0,)))
    found = store.frame(samples=True)
    assert seen == [result_file(store).name]
    measured = found[found.status == "measured"]
    assert dict(zip(measured.commit, measured.value, strict=True)) == {COMMIT: 2.0, OTHER: 5.0}
    assert [list(each) for each in measured.samples] == [[2.0], [5.0]]
    assert list(found.commit.unique()) == [COMMIT, OTHER]


def test_a_frame_from_the_cache_is_the_one_read_afresh(store):
    for second in range(6):
        store.add(entry(second, (float(second),), commit=f"{second}" * 40))
        store.frame()
    store.add(entry(9, (9.0,), commit="2" * 40))
    result_file(store, "44444444").unlink()
    cached = store.frame(samples=True)
    cache.location(store.path).unlink()
    pd.testing.assert_frame_equal(cached, store.frame(samples=True))
    assert len(cached) == 5 * 4


def test_a_deleted_file_is_gone_from_the_frame(store):
    store.add(entry(0), entry(1, commit=OTHER))
    store.frame()
    result_file(store).unlink()
    assert set(store.frame().commit) == {OTHER}


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", b"\x80\x04K\x01."])
def test_a_damaged_cache_costs_time_and_nothing_else(store, damage):
    store.add(entry())
    before = store.frame()
    cache.location(store.path).write_bytes(damage)
    pd.testing.assert_frame_equal(store.frame(), before)


def test_a_cache_folder_that_cannot_be_written_costs_time_and_nothing_else(
    store, monkeypatch, tmp_path
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    store.add(entry())
    assert len(values(store)) == 1


def test_the_cache_lies_outside_of_the_store(store):
    store.add(entry())
    before = set(store.path.rglob("*"))
    store.frame()
    assert set(store.path.rglob("*")) == before


def test_a_damaged_file_is_skipped_with_a_warning_and_the_rest_is_read(store):
    store.add(entry(0), entry(1, commit=OTHER))
    result_file(store).write_text("{")
    with pytest.warns(StoreWarning, match="aaaaaaaa.*skipped"):
        assert set(store.frame().commit) == {OTHER}
    assert result_file(store).read_text() == "{"


def test_a_row_that_does_not_fit_is_skipped_with_a_warning_and_the_rest_is_read(store):
    store.add(entry(), entry(benchmark=Benchmark("size.track", "1"), combination=()))
    document = json.loads(result_file(store).read_text())
    document["results"][LATENCY.name][0] = [1.0]
    result_file(store).write_text(json.dumps(document))
    with pytest.warns(StoreWarning, match=f"{LATENCY.name} of .*skipped"):
        assert set(store.frame().benchmark) == {"size.track"}


@pytest.mark.parametrize(
    ("column", "value"),
    [(0, ["x"] * 4), (3, "now"), (5, [[1], 2, 3, 4]), (11, [1.0] * 4), (11, [["x"]] * 4)],
)
def test_a_row_of_nonsense_never_stops_the_reading(store, column, value):
    store.add(entry(), entry(benchmark=Benchmark("size.track", "1"), combination=()))
    document = json.loads(result_file(store).read_text())
    document["results"][LATENCY.name][column] = value
    result_file(store).write_text(json.dumps(document))
    with pytest.warns(StoreWarning, match="skipped"):
        assert set(store.frame(samples=True).benchmark) == {"size.track"}


keys = st.sampled_from(["params", "commit_hash", "date", "env_name", "machine", "results", "x"])
leaves = st.none() | st.integers() | st.floats() | st.text() | st.just("'a'")
any_json = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner))


@given(any_json, any_json, any_json)
@settings(max_examples=60, deadline=None)
def test_no_content_of_a_file_stops_the_reading_or_the_checking(header, row, columns):
    document = {"version": 2, "commit_hash": "c" * 40, "params": {}, "result_columns": [
        "result", "params", "version", "started_at", "stats_repeat", "samples"]}  # fmt: skip
    contents = [
        header,
        document | {"results": {"x": row}},
        document | {"results": {"x": [row, [["'a'"]], "1", columns]}},
        document | {"results": {"x": [[1.0], [["'a'"]], header, 1, row, columns]}},
        document | {"results": {}, "date": row, "env_name": columns, "params": {"os": header}},
        document | {"results": {"x": [[1.0], []]}, "mobileopt": {"cell_started_at": {"x": row}}},
    ]
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(Path(folder) / "cache"))
        store = Store(Path(folder) / "results")
        store.add(entry())
        for number, content in enumerate(contents):
            path = store.path / "pixel6" / f"cccccccc-{number}.json"
            path.write_text(json.dumps(content))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            found = store.frame(samples=True)
        assert LATENCY.name in set(found.benchmark)
        assert store.verify()


def test_results_without_a_machine_are_skipped_with_a_warning_as_asv_does(store):
    store.add(entry())
    (store.path / "pixel6" / "machine.json").unlink()
    with pytest.warns(StoreWarning, match=r"no machine\.json"):
        assert len(store.frame()) == 0


def test_a_store_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StoreError, match="not a folder of results"):
        Store(tmp_path / "nothing").frame()


def test_what_the_frame_says_is_what_asv_reads(store):
    from asv.results import iter_results

    store.add(
        entry(0, (1.0, 2.0, 3.0)),
        entry(1, (4.0,), combination=("mobilenet_v2", "nchw")),
        entry(2, (), combination=("resnet18", "nchw")),
    )
    (results,) = iter_results(str(store.path))
    params = [list(axis) for axis in LATENCY.axes]
    asv_values = results.get_result_value(LATENCY.name, params)
    asv_stats = results.get_result_stats(LATENCY.name, params)
    found = store.frame()
    for row, value, stats in zip(found.itertuples(), asv_values, asv_stats, strict=True):
        assert row.value == value or (
            math.isnan(row.value) and (value is None or math.isnan(value))
        )
        assert (row.status == "failed") == (value is None)
        if stats:
            assert (row.ci_low, row.n) == (stats["ci_99_a"], stats["repeat"])


def test_a_copy_of_a_store_elsewhere_has_a_cache_of_its_own(store, tmp_path):
    store.add(entry(0, (1.0,)))
    store.frame()
    copy = Store(shutil.copytree(store.path, tmp_path / "copy"))
    assert cache.location(copy.path) != cache.location(store.path)
    copy.add(entry(1, (2.0,)))
    assert set(values(store).values()) == {1.0}
    assert set(values(copy).values()) == {2.0}
