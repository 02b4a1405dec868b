import json

import pytest

from mobileopt.errors import StoreError
from mobileopt.store import StoreWarning, files, result_file
from mobileopt.store.documents import Cell, Document, Row, canonical, dump

from .drawn import HEADER

NAME = "aaaaaaaa-py3.11.json"


def document(value, started_at=5, version="1", name="x"):
    columns = {} if value is None else {"result": value}
    return Document(HEADER, {name: Row((), version, started_at, {(): Cell(columns, started_at)})})


def sidecar(path):
    return files.read_lines(path.with_suffix(".jsonl"))


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "pixel6" / NAME
    made.parent.mkdir()
    assert result_file.merge_into(made, document(1.0))
    return made


def test_what_is_there_already_changes_nothing_not_even_the_file(path):
    before = path.stat()
    assert not result_file.merge_into(path, document(1.0))
    assert not result_file.merge_into(path, document(None, 1))
    assert path.stat() == before
    assert result_file.merge_into(path, document(2.0, 9))
    assert json.loads(path.read_text())["results"]["x"][0] == [2.0]


def test_a_row_without_room_is_in_the_side_car_before_it_is_gone(path, monkeypatch):
    def full(path, text):
        raise StoreError("the disk is full")

    monkeypatch.setattr(files, "replace", full)
    with pytest.raises(StoreError, match="full"):
        result_file.merge_into(path, document(3.0, 9, "2"))
    [kept] = sidecar(path)
    assert (kept["kind"], kept["row"]["version"], kept["row"]["result"]) == ("replaced", "1", [1.0])
    assert json.loads(path.read_text())["results"]["x"][0] == [1.0]


def test_what_was_removed_is_dropped_while_the_rest_is_merged(path):
    assert result_file.merge_into(path, document(2.0, name="y"), {"x": 5})
    assert json.loads(path.read_text())["results"].keys() == {"y"}


@pytest.mark.parametrize(("version", "remedy"), [(1, "run `asv update`"), (9, "update mobileopt")])
def test_a_file_of_another_format_stays_and_the_remedy_is_named(path, version, remedy):
    text = json.dumps(dump(document(1.0)) | {"version": version})
    path.write_text(text)
    with pytest.raises(StoreError, match=f"of format {version}, 2 is written; {remedy}"):
        result_file.read_or_quarantine(path)
    assert path.read_text() == text


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"{}", b'{"version": "2"}', b"[" * 100_000])
def test_damage_is_moved_aside_whole_and_what_is_absent_is_no_damage(path, damage):
    path.write_bytes(damage)
    with pytest.warns(StoreWarning, match="moved to"):
        assert result_file.read_or_quarantine(path) is None
    [aside] = path.parent.glob(f"{NAME}.damaged-*")
    assert aside.read_bytes() == damage
    assert result_file.read_or_quarantine(path) is None


def test_a_commit_of_the_same_digits_is_refused_beside_a_damaged_neighbour_too(path):
    (path.parent / "aaaaaaaa-another.json").write_text("{")
    result_file.check_commit(path, "a" * 40, None)
    with pytest.raises(StoreError, match="first 8 digits"):
        result_file.check_commit(path.with_name("aaaaaaaa-new.json"), "a" * 8 + "b" * 32, None)


def test_a_run_is_recorded_once_and_anything_else_once_for_its_content(path):
    run = {"kind": "run", "run": "é-1", "benchmark": "x", "version": "1", "combination": ["1"]}
    note = {"kind": "replaced", "benchmark": "x", "row": {"result": [float("nan")]}}
    for _ in range(2):
        result_file.record(path, [run | {"context": {"seen": _}}, run, note, note])
    assert [each["kind"] for each in sidecar(path)] == ["run", "replaced"]
    result_file.record(path, [run | {"combination": ["2"]}, note | {"benchmark": "y"}])
    assert len({canonical(each) for each in sidecar(path)}) == 4
