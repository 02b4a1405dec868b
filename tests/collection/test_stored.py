from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mobileopt.collection.exports import Commit
from mobileopt.collection.stored import believed, present
from mobileopt.collection.storing import Filing, environment
from mobileopt.device import Device
from mobileopt.store import Store
from mobileopt.variant import Variant
from tests.collection import lab

PHONE = Device("PHONE1", model="Pixel 8")
FIRST, SECOND = lab.VARIANTS[:2]
BOTH = frozenset((FIRST, SECOND))
FILING = Filing(PHONE, lab.COMMIT, environment(lab.VERSIONS), lab.BENCHMARK)
SUSPECT = {"validity": {"verdict": "suspect", "reasons": ["hot"]}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def add(store: Store, variant: Variant, context: Any = None, **changed: Any) -> None:
    order = lab.order(store.path.parent, ())
    entry = lab.old_result(order, PHONE.name, variant)
    store.add(replace(entry, context=context or {}, **changed))


def test_nothing_is_there_before_anything_is_stored(store: Store):
    assert present(store, FILING) == believed(store, FILING) == frozenset()


def test_a_suspect_value_is_there_and_is_not_believed(store: Store):
    add(store, FIRST, SUSPECT)
    add(store, SECOND)
    assert present(store, FILING) == BOTH
    assert believed(store, FILING) == {SECOND}


def test_a_value_is_believed_again_once_a_valid_one_took_the_suspects_place(store: Store):
    add(store, FIRST, SUSPECT)
    add(store, FIRST, run="again", started_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert believed(store, FILING) == {FIRST}


def test_a_failure_is_no_value(store: Store):
    add(store, FIRST, samples=(), reason="it died")
    add(store, SECOND)
    assert present(store, FILING) == {SECOND}


@pytest.mark.parametrize(
    "other",
    [
        {"device": Device("PHONE2", model="Pixel 8")},
        {"commit": Commit("b" * 40, lab.COMMIT.date)},
        {"environment": environment({"torch": "2.13.0"})},
        {"benchmark": replace(lab.BENCHMARK, version="3")},
        {"benchmark": replace(lab.BENCHMARK, name="latency.time_load")},
    ],
)
def test_what_was_measured_as_something_else_is_not_this(store: Store, other: dict[str, Any]):
    add(store, FIRST)
    fields = {name: getattr(FILING, name) for name in ("device", "commit", "environment")}
    assert present(store, Filing(**{**fields, "benchmark": lab.BENCHMARK} | other)) == frozenset()


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"kind": "run"},
        {"kind": "run", "context": SUSPECT},
        {"kind": "run", "context": SUSPECT, "combination": None, "started_at": 1},
        {"kind": "run", "context": SUSPECT, "combination": [["a"], {}], "started_at": 1},
        {"kind": "run", "context": {"validity": ["suspect"]}, "combination": []},
    ],
)
def test_a_record_that_says_nothing_usable_casts_no_doubt(store: Store, record: dict[str, Any]):
    add(store, FIRST, SUSPECT)
    add(store, SECOND)
    (path,) = (store.path / PHONE.name).glob("*.jsonl")
    path.write_text(f"{json.dumps(record)}\n{path.read_text()}")
    assert believed(store, FILING) == {SECOND}
