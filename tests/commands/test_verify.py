import pytest
from store.entries import entry

from mobileopt.__main__ import main
from mobileopt.store import Store


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "results")
    made.add(entry())
    return made


def test_a_sound_store_exits_with_0(store, capsys):
    assert main(["verify", str(store.path)]) == 0
    assert "nothing is wrong" in capsys.readouterr().out


def test_what_is_wrong_is_a_line_each_and_exits_with_1(store, capsys):
    (result,) = store.path.glob("pixel6/aaaaaaaa-*.json")
    result.write_text("{")
    with result.with_suffix(".jsonl").open("a") as file:
        file.write('{"kind": "ru')
    assert main(["verify", str(store.path)]) == 1
    damaged, torn = capsys.readouterr().out.splitlines()
    assert f"{result}: damaged: " in damaged
    assert ".jsonl: torn: line 2 is not a whole record" in torn


def test_a_store_that_is_not_there_exits_with_2(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "nowhere")]) == 2
    assert "is not a folder of results" in capsys.readouterr().err
