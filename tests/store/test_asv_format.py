"""A result file made by asv's own code is read back by asv's own code."""

import json

import pytest
from asv.results import Results

from mobileopt.store import Environment, documents
from mobileopt.store.asv_format import file_name, serialize, to_document

from .entries import COMMIT, LATENCY, MACHINE, START, entry

KEY = ("'resnet18'", "'nhwc'")


def asvs_own(document, folder):
    """What asv reads from a document's file."""
    path = folder / MACHINE["machine"] / file_name(COMMIT, "py3.11-torch2.12")
    path.parent.mkdir()
    path.write_text(json.dumps(documents.dump(document)))
    return Results.load(str(path))


def test_an_entry_is_one_cell_at_its_combination_and_asv_finds_it_there(tmp_path):
    document = to_document(entry(5, (1.0, 3.0, 2.0), number=4, duration=0.5), MACHINE)
    row = document.rows[LATENCY.name]
    assert (row.axes, list(row.cells)) == (LATENCY.axes, [KEY])
    assert row.started_at == row.cells[KEY].started_at == START.timestamp() * 1000 + 5000
    read = asvs_own(document, tmp_path)
    params = [list(axis) for axis in LATENCY.axes]
    assert read.get_result_value(LATENCY.name, params)[3] == 2.0
    assert read.get_result_samples(LATENCY.name, params)[3] == [1.0, 3.0, 2.0]
    assert read.get_result_stats(LATENCY.name, params)[3]["number"] == 4
    assert read.duration == {LATENCY.name: 0.5}


def test_a_failure_is_a_cell_without_a_value():
    cell = to_document(entry(0, ()), MACHINE).rows[LATENCY.name].cells[KEY]
    assert not cell.is_good
    assert cell.columns.get("result", "absent") == "absent"
    assert "samples" not in cell.columns


def test_the_fields_stored_for_the_machine_count_and_not_those_an_entry_brings(tmp_path):
    stored = MACHINE | {"os": "Android 13"}
    read = asvs_own(to_document(entry(machine=MACHINE | {"os": "Android 15"}), stored), tmp_path)
    assert read.params == stored | {"python": "3.11", "torch": "2.12"}
    assert (read.commit_hash, read.env_name) == (COMMIT, "py3.11-torch2.12")
    assert read.date == entry().date.timestamp() * 1000


def test_what_asv_would_write_is_taken_without_leaving_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    results = Results({"machine": "m"}, {}, "a" * 40, 1, "3.11", "env", {})
    assert serialize(results)["commit_hash"] == "a" * 40
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["py3.11", "x" * 127, "x" * 128, "virtualenv-" + "long-" * 99])
def test_a_file_is_named_as_asv_names_it_and_never_longer_than_a_name_may_be(name):
    made = file_name(COMMIT, Environment(name).name)
    own = Results({"machine": "m"}, {}, COMMIT, 1, "3.11", name, {})
    assert f"m/{made}" == own._filename
    assert len(made) < 200


def test_every_column_of_asv_is_known():
    results = Results({"machine": "m"}, {}, "a" * 40, 1, "3.11", "env", {})
    assert tuple(serialize(results)["result_columns"]) == documents.COLUMNS
