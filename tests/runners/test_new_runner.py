"""The runner that docs/adding.md shows, as it stands there."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mobileopt import runners
from mobileopt.collection.programs import given
from mobileopt.errors import MeasurementError, ProgramError
from mobileopt.run import Plan
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]

DOCS = Path(__file__).parents[2] / "docs" / "adding.md"
CAPTURED = "warm-up done\nrun 0.0123 s\nrun 0.0121 s\n"
PROGRAM = """#!/bin/sh
runs=${3#*=}
[ -e "$1" ] || { echo "no such model" >&2; exit 1; }
while [ $runs -gt 0 ]; do echo "run 0.0120 s"; runs=$((runs - 1)); done
"""


@pytest.fixture
def stopwatch(tmp_path, monkeypatch):
    text = DOCS.read_text(encoding="utf-8").partition("## A device runner")[2]
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    (tmp_path / "runners").mkdir()
    (tmp_path / "runners/stopwatch.py").write_text(found[1], encoding="utf-8")
    monkeypatch.setattr(runners, "__path__", [*runners.__path__, str(tmp_path / "runners")])
    importlib.invalidate_caches()
    yield runners.load("stopwatch")
    sys.modules.pop("mobileopt.runners.stopwatch", None)
    del runners.stopwatch  # pyright: ignore[reportAttributeAccessIssue]


def test_one_file_is_a_runner(stopwatch):
    assert "stopwatch" in runners.names()
    assert stopwatch.parse(CAPTURED, "", 0, Plan(2)).latency.samples == (0.0123, 0.0121)


def test_its_failures_have_names(stopwatch):
    with pytest.raises(ProgramError) as caught:
        stopwatch.parse("", "no such model", 1, Plan(2))
    assert caught.value.fault == "missing_model"
    with pytest.raises(MeasurementError):
        stopwatch.parse(CAPTURED, "", 0, Plan(3))


@pytest.mark.parametrize("told", ["1.2.3", ".", "inf", "nan", "9" * 5000, "1e999", "-1", "\u0661"])
def test_no_number_that_is_none_is_taken_for_a_time(stopwatch, told):
    with pytest.raises(MeasurementError):
        stopwatch.parse(f"run {told} s\nrun 0.01 s\n", "", 0, Plan(2))


def test_it_is_collected_with_like_any_other(stopwatch, server, connected, tmp_path):
    path = tmp_path / "program"
    path.write_text(PROGRAM, encoding="utf-8")
    order = lab.order(tmp_path, lab.VARIANTS[:1])
    order = replace(order, programs=(given(f"stopwatch={path}"),))
    (outcome,) = lab.collect(order, server)
    assert outcome.status == "stored"
    assert list(lab.values(order).values()) == [0.012]
