from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mobileopt.publishing import doubts
from mobileopt.publishing.doubts import Doubt
from mobileopt.store import StoreWarning

RESULT = "pixel/abcdef12-phone.json"


def record(**changed: Any) -> dict[str, Any]:
    return {
        "kind": "run",
        "run": "one",
        "benchmark": "latency",
        "version": "1",
        "combination": ["'m'", "'r'"],
        "started_at": 1000,
        "context": {"validity": {"verdict": "suspect", "reasons": ["hot", "low battery"]}},
    } | changed


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "pixel").mkdir()
    return tmp_path


def write(store: Path, *lines: Any) -> None:
    path = (store / RESULT).with_suffix(".jsonl")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def read(store: Path) -> dict[str, list[Doubt]]:
    return doubts.read(store, [RESULT, "pixel/none.json"], store / "cache.json")


def test_a_suspect_run_is_told_with_its_reasons(store: Path):
    write(store, record())
    assert read(store) == {
        RESULT: [Doubt("latency", "1", ("'m'", "'r'"), 1000, "suspect", ("hot", "low battery"))]
    }


def test_an_invalid_run_is_told_with_the_median_of_what_it_measured(store: Path):
    said = {"verdict": "invalid", "reasons": ["screen on"]}
    write(store, record(context={"validity": said, "samples": [3.0, 1.0, 2.0]}))
    ((doubt,),) = read(store).values()
    assert (doubt.verdict, doubt.value) == ("invalid", 2.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"context": {"validity": {"verdict": "valid", "reasons": []}}},
        {"context": {"validity": "valid"}},
        {"context": {}},
        {"context": None},
        {"context": {"validity": {"verdict": "sus", "reasons": []}}},
        {"combination": None},
        {"started_at": "yesterday"},
    ],
)
def test_a_valid_run_and_one_that_says_nothing_usable_are_no_doubts(store: Path, changed: Any):
    write(store, record(**changed))
    assert read(store) == {}


def test_reasons_that_are_no_list_of_texts_do_no_harm(store: Path):
    write(store, record(context={"validity": {"verdict": "suspect", "reasons": {"a": 1}}}))
    ((doubt,),) = read(store).values()
    assert doubt.reasons == ()


def test_an_unchanged_side_car_is_not_read_again(store: Path, monkeypatch: pytest.MonkeyPatch):
    write(store, record())
    first = read(store)
    monkeypatch.setattr(doubts.files, "read_lines", lambda path: pytest.fail(f"read {path}"))
    assert read(store) == first


def test_a_side_car_that_grew_is_read_again(store: Path):
    write(store, record())
    read(store)
    write(store, record(), record(run="two", started_at=2000))
    ((one, two),) = read(store).values()
    assert (one.started_at, two.started_at) == (1000, 2000)


@pytest.mark.parametrize("content", ["", "[]", '{"schema": 99}', "nonsense"])
def test_a_damaged_cache_costs_time_and_nothing_else(store: Path, content: str):
    write(store, record())
    (store / "cache.json").write_text(content)
    assert len(read(store)[RESULT]) == 1


def test_a_torn_line_costs_itself(store: Path):
    write(store, record())
    with (store / RESULT).with_suffix(".jsonl").open("a") as file:
        file.write('{"kind": "ru')
    with pytest.warns(StoreWarning, match="not a whole record"):
        assert len(read(store)[RESULT]) == 1
