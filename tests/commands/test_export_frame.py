import json
import sys

import pandas as pd
import pytest
from store.entries import entry

from mobileopt.__main__ import main
from mobileopt.store import Benchmark, Store


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "results")
    made.add(entry(0), entry(1, samples=(), combination=("mobilenet_v2", "nchw")))
    other = Benchmark("threads.track_time", "1", params=((1, 2),), param_names=("model",))
    made.add(entry(2, benchmark=other, combination=(2,)))
    return made


def test_parquet_holds_every_combination_with_its_raw_samples(store, tmp_path, capsys):
    pytest.importorskip("pyarrow")
    file = tmp_path / "all.parquet"
    assert main(["export-frame", str(file), "--store", str(store.path), "--samples"]) == 0
    read = pd.read_parquet(file)
    frame = store.frame(samples=True)
    assert list(read.columns) == list(frame.columns)
    assert len(read) == len(frame) == 6
    measured = read[read["status"] == "measured"]
    assert sorted(map(str, measured["model"])) == ["2", "resnet18"]
    assert list(measured["samples"].iloc[0]) == [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    assert "6 rows" in capsys.readouterr().out


def test_csv_holds_the_same_rows(store, tmp_path):
    file = tmp_path / "all.csv"
    assert main(["export-frame", str(file), "--store", str(store.path), "--samples"]) == 0
    read = pd.read_csv(file)
    assert len(read) == 6
    assert json.loads(read[read["model"] == "resnet18"]["samples"].dropna().iloc[0])[0] == 1.0


def test_another_ending_is_refused_with_those_there_are(tmp_path, capsys):
    assert main(["export-frame", str(tmp_path / "all.xlsx"), "--store", str(tmp_path)]) == 2
    assert "ends in '.xlsx', not in .parquet or .csv" in capsys.readouterr().err


def test_without_pyarrow_it_gives_the_pip_line(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export-frame", str(tmp_path / "a.parquet"), "--store", str(store.path)]) == 2
    assert "pip install 'mobileopt[frame]'" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_one_sentence_and_leaves_nothing_half_written(
    store, tmp_path, capsys
):
    file = tmp_path / "nowhere" / "all.csv"
    assert main(["export-frame", str(file), "--store", str(store.path)]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
    kept = tmp_path / "kept.csv"
    kept.write_text("old")
    assert main(["export-frame", str(kept), "--store", str(tmp_path / "none")]) == 2
    assert kept.read_text() == "old"
    assert [path.name for path in tmp_path.glob(".*")] == []
