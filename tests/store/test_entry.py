import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.errors import StoreError
from mobileopt.store import Benchmark, Environment
from mobileopt.store.entry import milliseconds, natural

from .entries import COMMIT, MACHINE, START, entry


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"samples": (1.0, math.nan)}, "not finite"),
        ({"samples": (), "reason": None}, "either samples or the reason"),
        ({"reason": "but it worked"}, "either samples or the reason"),
        ({"number": 0}, "at least 1 call"),
        ({"run": ""}, "needs a name"),
        ({"combination": ("resnet18", "blocked")}, "none of .*'nchw', 'nhwc'"),
        ({"combination": ("resnet18",)}, "has 2 parameters, 1 values"),
        ({"started_at": datetime(2026, 1, 1)}, "time zone"),
        ({"date": datetime(2026, 1, 1)}, "date .* time zone"),
        ({"commit": COMMIT[:8]}, "full hash"),
        ({"machine": MACHINE | {"machine": "../up"}}, "machine '../up' cannot"),
        ({"machine": {}}, "machine '' cannot"),
    ],
)
def test_an_entry_that_says_something_impossible_is_refused(wrong, message):
    with pytest.raises(StoreError, match=message):
        entry(**wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "../x"}, "not a dotted name"),
        ({"version": ""}, "no version"),
        ({"param_names": ()}, "1 axes of parameters and 0 names"),
        ({"params": ((),)}, "n of x.track is empty or repeats"),
        ({"params": ((1, 2, 1),)}, "empty or repeats"),
    ],
)
def test_a_benchmark_asv_could_not_store_is_refused(wrong, message):
    right = {"name": "x.track", "version": "1", "params": ((1, 2),), "param_names": ("n",)}
    with pytest.raises(StoreError, match=message):
        Benchmark(**right | wrong)


def test_an_environment_cannot_leave_its_folder():
    with pytest.raises(StoreError, match="environment"):
        Environment("../up")


def test_values_that_only_look_alike_are_parameters_of_their_own():
    benchmark = Benchmark("x.track", "1", params=((1, "1", 1.0, True, None),), param_names=("n",))
    assert benchmark.axes == (("1", "'1'", "1.0", "True", "None"),)
    taken = entry(benchmark=benchmark, combination=("1",))
    assert taken.key == ("'1'",)


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text())
def test_a_parameter_read_back_is_the_one_written(value):
    if value in (math.inf, -math.inf):
        assert natural(repr(value)) == repr(value)
    else:
        assert natural(repr(value)) == value
        assert type(natural(repr(value))) is type(value)


@pytest.mark.parametrize(
    "text", ["resnet18", "__import__('os')", "[1, 2]", "(", "", "a\0b", "-" * 9999 + "1",
             "(" * 9999, "9" * 9999],
)  # fmt: skip
def test_text_that_is_no_plain_value_stays_as_it_is(text):
    assert natural(text) == text


@given(st.integers(-23, 23))
def test_a_moment_is_the_same_in_every_time_zone(hours):
    elsewhere = START.astimezone(timezone(timedelta(hours=hours)))
    assert milliseconds(elsewhere) == milliseconds(START) == 1_772_366_400_000


def test_a_failure_tells_its_reason_and_what_was_recorded_of_it():
    record = entry(3, (), context={"state": {"battery": 80}}).to_record()
    assert (record["kind"], record["run"], record["reason"]) == (
        "run", "run-3", "no device attached",
    )  # fmt: skip
    assert record["combination"] == ["'resnet18'", "'nhwc'"]
    assert record["started_at"] == milliseconds(START) + 3000
    assert record["context"] == {"state": {"battery": 80}}
