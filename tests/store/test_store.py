import json
import math
import warnings
from datetime import UTC, datetime

import pytest
from filelock import FileLock

from mobileopt.errors import StoreError
from mobileopt.store import Benchmark, Environment, Store, StoreWarning, files

from .entries import COMMIT, LATENCY, MACHINE, entry, values

NAME = LATENCY.name
FILE = "aaaaaaaa-py3.11-torch2.12.json"
NHWC, NCHW = (NAME, "resnet18", "nhwc"), (NAME, "resnet18", "nchw")


def result_file(store):
    return store.path / "pixel6" / FILE


def stored(store):
    return json.loads(result_file(store).read_text())


def row(store, name=NAME):
    document = stored(store)
    return dict(zip(document["result_columns"], document["results"][name], strict=False))


def test_a_measured_combination_is_stored_with_its_samples_and_statistics(store):
    assert store.add(entry(samples=(3.0, 1.0, 2.0, 2.5, 1.5, 2.2), number=4)) == 1
    assert row(store)["result"][3] == 2.1
    assert row(store)["samples"][3] == [3.0, 1.0, 2.0, 2.5, 1.5, 2.2]
    assert row(store)["stats_number"] == [None, None, None, 4]
    assert row(store)["stats_ci_99_a"][3] <= 2.1 <= row(store)["stats_ci_99_b"][3]


def test_combinations_nobody_measured_are_skipped_and_not_failed(store):
    store.add(entry())
    assert all(math.isnan(value) for value in row(store)["result"][:3])


def test_the_same_run_added_twice_is_stored_once(store):
    assert store.add(entry()) == 1
    before = result_file(store).read_bytes()
    assert store.add(entry(), entry()) == 0
    assert result_file(store).read_bytes() == before
    assert len(list(store.runs())) == 1


def test_a_run_without_its_device_after_a_good_one_loses_no_value(store):
    combinations = [(m, x) for m in LATENCY.params[0] for x in LATENCY.params[1]]
    store.add(*(entry(i, (1.0 + i,), combination=c) for i, c in enumerate(combinations)))
    good = values(store)
    absent = [entry(60 + i, (), combination=c) for i, c in enumerate(combinations)]
    assert len(good) == 4
    store.add(*absent)
    assert values(store) == good
    reasons = {record["run"]: record["reason"] for record in store.runs()}
    assert [reasons[each.run] for each in absent] == ["no device attached"] * 4


def test_a_failure_is_stored_as_failed_where_nothing_was_measured(store):
    store.add(entry(samples=()))
    assert row(store).get("result") is None or row(store)["result"][3] is None
    assert store.frame().set_index(["model", "layout"]).status["resnet18", "nhwc"] == "failed"


def test_a_good_value_replaces_a_failure_even_an_older_one(store):
    store.add(entry(60, ()))
    store.add(entry(0, (2.0,)))
    assert values(store) == {NHWC: 2.0}


def test_of_two_values_the_one_measured_later_stays_in_whichever_order_they_come(store):
    store.add(entry(60, (2.0,)))
    store.add(entry(0, (1.0,)))
    assert values(store) == {NHWC: 2.0}
    store.add(entry(90, (3.0,)))
    assert values(store) == {NHWC: 3.0}


def test_the_time_of_another_combination_does_not_make_a_value_newer(store):
    store.add(entry(0, (1.0,)))
    store.add(entry(60, (5.0,), combination=("resnet18", "nchw")))
    store.add(entry(30, (2.0,)))
    assert values(store) == {NHWC: 2.0, NCHW: 5.0}


def test_values_stay_with_their_parameters_when_a_list_has_grown(store):
    store.add(entry(0, (1.0,)))
    grown = Benchmark(
        NAME,
        "1",
        params=(("mobilenet_v2", "resnet18", "vit"), ("nchw", "nhwc", "blocked")),
        param_names=LATENCY.param_names,
    )
    store.add(entry(1, (7.0,), benchmark=grown, combination=("vit", "blocked")))
    assert values(store) == {NHWC: 1.0, (NAME, "vit", "blocked"): 7.0}
    listed = json.loads((store.path / "benchmarks.json").read_text())[NAME]
    assert listed["params"] == row(store)["params"] == [list(axis) for axis in grown.axes]


def test_an_older_shorter_list_of_parameters_does_not_shrink_a_row(store):
    grown = Benchmark(
        NAME, "1", params=(("mobilenet_v2", "resnet18", "vit"), ("nchw", "nhwc")),
        param_names=LATENCY.param_names,
    )  # fmt: skip
    store.add(entry(0, (7.0,), benchmark=grown, combination=("vit", "nchw")))
    store.add(entry(1, (1.0,)))
    assert values(store) == {NHWC: 1.0, (NAME, "vit", "nchw"): 7.0}
    assert row(store)["params"] == [list(axis) for axis in grown.axes]


def test_a_new_benchmark_version_replaces_the_row_and_the_old_one_is_kept_aside(store):
    store.add(entry(0, (1.0,)))
    second = Benchmark(NAME, "2", params=LATENCY.params, param_names=LATENCY.param_names)
    store.add(entry(1, (), benchmark=second))
    assert values(store) == {}
    (replaced,) = [record for record in store.runs() if record["kind"] == "replaced"]
    assert replaced["row"]["version"] == "1"
    assert replaced["row"]["result"][3] == 1.0


def test_the_context_of_a_run_is_kept_as_given(store):
    context = {"state": {"battery": 80, "thermal": [31.5, math.nan]}, "validity": "suspect"}
    store.add(entry(context=context))
    (record,) = store.runs()
    assert record["context"] == {
        "state": {"battery": 80, "thermal": [31.5, None]},
        "validity": "suspect",
    }
    assert record["machine"] == "pixel6"
    assert record["file"] == FILE


def test_a_machine_is_described_once_and_its_axes_stay_the_same(store):
    store.add(entry(0))
    store.add(entry(1, machine=MACHINE | {"os": "Android 15"}))
    assert json.loads((store.path / "pixel6" / "machine.json").read_text())["os"] == "Android 14"
    assert stored(store)["params"]["os"] == "Android 14"


def test_two_commits_that_share_eight_digits_are_refused_and_the_first_stays(store):
    store.add(entry(0, (1.0,)))
    other = "a" * 8 + "b" * 32
    before = result_file(store).read_bytes()
    with pytest.raises(StoreError, match=f"{other}.*already holds {COMMIT}"):
        store.add(entry(1, commit=other))
    assert result_file(store).read_bytes() == before


def test_commits_that_share_eight_digits_are_refused_across_environments_too(store):
    store.add(entry(0))
    with pytest.raises(StoreError, match="first 8 digits"):
        store.add(entry(1, commit="a" * 8 + "b" * 32, environment=Environment("other")))


@pytest.mark.parametrize("damage", ["", '{"results": {', "[1, 2]", '{"version": 2}', "\xff" * 40])
def test_a_damaged_file_is_moved_aside_with_a_warning_and_the_run_is_stored(store, damage):
    store.add(entry(0))
    result_file(store).write_text(damage, encoding="latin-1")
    with pytest.warns(StoreWarning, match="moved to"):
        store.add(entry(1, (2.0,)))
    assert values(store) == {NHWC: 2.0}
    (aside,) = result_file(store).parent.glob("*.damaged-*")
    assert aside.read_text(encoding="latin-1") == damage
    assert aside.suffix != ".json"


def test_a_file_of_a_newer_format_is_refused_and_stays_where_it_is(store):
    store.add(entry(0))
    newer = stored(store) | {"version": 3}
    result_file(store).write_text(json.dumps(newer))
    with pytest.raises(StoreError, match="format 3, 2 is written"):
        store.add(entry(1))
    assert stored(store) == newer


def test_a_run_whose_file_was_lost_can_be_stored_again(store):
    store.add(entry())
    result_file(store).unlink()
    assert store.add(entry()) == 1
    assert len(values(store)) == 1
    assert len(list(store.runs())) == 1


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", "a\\b", ".hidden", "a\0b", "x" * 129])
def test_no_machine_name_leaves_the_store(store, name):
    with pytest.raises(StoreError, match="machine"):
        store.add(entry(machine=MACHINE | {"machine": name}))
    assert not store.path.exists()


def test_a_linked_machine_folder_is_not_written_through(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    store.path.mkdir()
    (store.path / "pixel6").symlink_to(outside)
    with pytest.raises(StoreError, match="is a link"):
        store.add(entry())
    assert list(outside.iterdir()) == []


def test_staged_runs_are_merged_afterwards_and_a_second_time_changes_nothing(store, tmp_path):
    store.add(entry(0, (1.0,)))
    staging = Store(tmp_path / "staging")
    staging.add(entry(1, ()), entry(2, (4.0,), combination=("resnet18", "nchw")))
    assert store.merge(staging) == 1
    assert values(store) == {NHWC: 1.0, NCHW: 4.0}
    assert {record["run"] for record in store.runs()} == {"run-0", "run-1", "run-2"}
    assert store.merge(staging.path) == 0
    assert len(list(store.runs())) == 3


def test_a_damaged_staged_file_is_named_and_all_others_are_merged(store, tmp_path):
    staging = Store(tmp_path / "staging")
    other = Environment("py3.12", "3.12")
    for machine in ("pixel5", "pixel6"):
        staging.add(*(entry(machine=MACHINE | {"machine": machine}, **each)
                      for each in ({}, {"environment": other})))  # fmt: skip
    damaged = sorted(staging.path.glob("pixel5/aaaaaaaa-*.json"))[0]
    damaged.write_text("{}")
    with pytest.raises(StoreError, match=damaged.name):
        store.merge(staging)
    assert len(list(store.path.glob("pixel5/aaaaaaaa-*.json"))) == 1
    assert len(list(store.path.glob("pixel6/aaaaaaaa-*.json"))) == 2


def test_a_damaged_staged_list_of_benchmarks_is_named_and_the_results_are_merged(store, tmp_path):
    store.add(entry(0, (1.0,)))
    staging = Store(tmp_path / "staging")
    staging.add(entry(1, (2.0,)))
    (staging.path / "benchmarks.json").write_text(json.dumps({NAME: 5, "version": 2}))
    with pytest.raises(StoreError, match=f"merged all but this: {NAME} of .*benchmarks.json"):
        store.merge(staging)
    assert values(store) == {NHWC: 2.0}


def test_staged_runs_of_a_new_machine_bring_its_description_and_benchmark(store, tmp_path):
    staging = Store(tmp_path / "staging")
    staging.add(entry())
    store.merge(staging)
    assert store.verify() == []
    assert values(store) == values(staging)


def test_a_locked_store_ends_in_one_sentence_and_not_in_waiting_for_ever(store, monkeypatch):
    store.add(entry())
    monkeypatch.setattr(files, "LOCK_TIMEOUT", 0.05)
    with (
        FileLock(result_file(store).parent / files.LOCK),
        pytest.raises(StoreError, match="locked"),
    ):
        store.add(entry(1))


def test_a_store_in_use_holds_no_name_that_asv_would_read(store):
    store.add(entry(0))
    store.add(entry(1, ()))
    names = {path.name for path in store.path.rglob("*.json")}
    assert names == {"benchmarks.json", "machine.json", FILE}


def test_a_benchmark_without_parameters_is_stored(store):
    size = Benchmark("size.track_bytes", "1", "bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.add(entry(benchmark=size, combination=(), samples=(1024.0,)))
    assert row(store, "size.track_bytes")["result"] == [1024.0]
    frame = store.frame()
    assert (frame.value[0], frame.unit[0], frame.date[0]) == (
        1024.0,
        "bytes",
        datetime(2026, 2, 1, tzinfo=UTC),
    )
