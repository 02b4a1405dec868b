import json

import pytest

from mobileopt.errors import StoreError
from mobileopt.store import Benchmark, Store, StoreWarning
from mobileopt.store.problems import Kind

from .entries import LATENCY, MACHINE, entry


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def result(store):
    store.add(entry())
    return next(store.path.glob("pixel6/aaaaaaaa-*.json"))


def kinds(store):
    return [(problem.kind, problem.path.name) for problem in store.verify()]


def test_a_store_in_order_has_no_problems(store, result):
    assert store.verify() == []


def test_damaged_files_are_named(store, result):
    result.write_text("{")
    (store.path / "benchmarks.json").write_text("")
    assert kinds(store) == [(Kind.DAMAGED, "benchmarks.json"), (Kind.DAMAGED, result.name)]


def test_torn_lines_of_a_side_car_are_named_with_their_numbers(store, result):
    with result.with_suffix(".jsonl").open("a") as file:
        file.write('{"kind": "ru\n7\n')
    store.add(entry(1))
    assert [each.detail.split(" is")[0] for each in store.verify()] == ["line 2", "line 3"]
    assert {each.kind for each in store.verify()} == {Kind.TORN}


def test_another_version_of_the_format_is_named(store, result):
    edit(result, version=1)
    assert kinds(store) == [(Kind.VERSION, result.name)]


def test_a_machine_without_its_description_is_named(store, result):
    (result.parent / "machine.json").unlink()
    assert kinds(store) == [(Kind.MISSING_MACHINE, "machine.json")]


def test_a_description_of_another_machine_is_named(store, result):
    edit(result.parent / "machine.json", machine="pixel7")
    assert kinds(store) == [(Kind.MISPLACED, "machine.json")]


def test_two_commits_that_share_eight_digits_are_named_across_machines_too(store, result):
    store.add(entry(machine=MACHINE | {"machine": "pixel7"}, commit="a" * 8 + "b" * 32))
    ((problem,)) = store.verify()
    assert problem.kind is Kind.COLLISION
    assert "a" * 8 + "b" * 32 in problem.detail


def test_a_file_under_another_commits_name_is_named(store, result):
    edit(result, commit_hash="c" * 40)
    assert kinds(store) == [(Kind.MISPLACED, result.name)]


def test_a_file_in_another_machines_folder_is_named(store, result):
    edit(result, params=MACHINE | {"machine": "pixel7"})
    assert kinds(store) == [(Kind.MISPLACED, result.name)]


def test_a_row_that_does_not_fit_its_parameters_is_named(store, result):
    document = json.loads(result.read_text())
    document["results"][LATENCY.name][0] = [1.0]
    edit(result, results=document["results"])
    ((problem,)) = store.verify()
    assert problem.kind is Kind.MISFIT
    assert LATENCY.name in str(problem)


def test_results_asv_will_not_show_are_named(store, result):
    listed = store.path / "benchmarks.json"
    edit(listed, **{LATENCY.name: LATENCY.to_asv() | {"version": "2"}})
    store.add(entry(benchmark=Benchmark("size.track", "1"), combination=()))
    stored = json.loads(listed.read_text())
    del stored["size.track"]
    listed.write_text(json.dumps(stored))
    details = [problem.detail for problem in store.verify()]
    assert details == [
        f"{LATENCY.name} of version 1: benchmarks.json lists version 2",
        "size.track of version 1: is not listed",
    ]


def test_what_was_moved_aside_is_named_until_somebody_acts(store, result):
    result.write_text("{")
    with pytest.warns(StoreWarning):
        store.add(entry(1))
    assert [kind for kind, _ in kinds(store)] == [Kind.QUARANTINED]


def test_verifying_changes_nothing(store, result):
    result.write_text("{")
    before = {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}
    store.verify()
    after = {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}
    assert after == before


def test_a_store_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(StoreError, match="not a folder of results"):
        Store(tmp_path / "nothing").verify()
