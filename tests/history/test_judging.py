import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from measured_repository import QUIET, scaled

from mobileopt.accepted import Accepted
from mobileopt.history import Lines, judge, select
from mobileopt.history._judging import _student
from mobileopt.run import Metric
from mobileopt.series import Origin

N = len(QUIET)
HERE = Origin(None, "pixel6", Metric("a.time_x", "seconds"), "1")
EVERYTHING = Accepted("*", "*", math.inf, "whatever it is", date(2999, 1, 1))


def lines(**by_device):
    length = max(map(len, by_device.values()))
    axis = tuple(f"{number:040x}" for number in range(length))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    dates = {commit: start + timedelta(days=day) for day, commit in enumerate(axis)}
    values = {replace(HERE, device=name): np.array(each) for name, each in by_device.items()}
    return Lines(values, axis, dates, axis)


def judged(*values, **options):
    return judge(lines(pixel6=values), **options)


def test_the_newest_change_stands_first_and_machines_of_one_commit_in_one_order():
    two = [*QUIET, *scaled(1.2), *scaled(1.5)]
    one = [*QUIET, *scaled(1.2), *scaled(1.2)]
    found = judge(lines(a=one, b=two))
    assert [(int(each.first_after, 16), each.machine) for each in found] == [
        (2 * N, "b"),
        (N, "b"),
        (N, "a"),
    ]


@pytest.mark.parametrize(("left", "state"), [(0.2, "fixed"), (0.3, "open")])
def test_a_worsening_is_fixed_when_three_quarters_of_it_are_gone(left, state):
    found = judged(*QUIET, *scaled(1.5), *scaled(1.5**left))
    assert [each.state for each in select(found, direction="worse")] == [state]


@pytest.mark.parametrize("factor", [1.05, 1.2, 0.8])
def test_the_interval_of_a_size_holds_it_and_is_the_narrower_the_more_was_measured(factor):
    [few] = judged(*QUIET, *scaled(factor))
    [many] = judged(*QUIET, *QUIET, *scaled(factor), *scaled(factor))
    for each in (few, many):
        assert each.low < factor < each.high
        assert each.low < each.ratio < each.high
    assert many.high / many.low < few.high / few.low


@pytest.mark.parametrize(
    ("freedom", "level"),
    [(1, 12.7062), (5, 2.57058), (28, 2.04841), (200, 1.97190), (300, 1.96790), (1000, 1.96234)],
)
def test_the_level_of_an_interval_is_students_for_short_and_for_long_histories(freedom, level):
    assert _student(freedom) == pytest.approx(level, rel=1e-4)


def test_only_what_is_open_can_be_accepted():
    found = judged(*QUIET, *scaled(1.5), *QUIET, *scaled(0.5), *scaled(0.8), accepted=[EVERYTHING])
    assert [each.state for each in found] == ["accepted", "kept", "kept", "fixed"]
    assert [each.accepted for each in found[1:]] == [None] * 3


def test_a_size_counts_the_same_in_both_directions():
    [more] = judged(*QUIET, *scaled(1.25))
    [less] = judged(*QUIET, *scaled(0.8))
    for each in (more, less):
        size = abs(math.expm1(abs(math.log(each.ratio))))
        assert select([each], min_size=size - 0.001) == [each]
        assert select([each], min_size=size + 0.001) == []


def test_what_came_from_nothing_or_went_is_larger_than_any_size():
    [change] = judged(*QUIET, *scaled(1.2))
    for ends in ({"before": 0.0}, {"after": 0.0}):
        assert len(select([replace(change, **ends)], min_size=1e9)) == 1


def test_a_change_below_the_least_effect_is_none():
    assert judged(*QUIET, *scaled(1.05), min_effect=0.1) == []
