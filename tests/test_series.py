from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.errors import InputError
from mobileopt.run import Metric
from mobileopt.series import Origin, Point, Series
from mobileopt.variant import Variant

START = datetime(2026, 1, 1, tzinfo=UTC)
VARIANT = "mobilenet_v2/fx-int8_qnnpack-nhwc-mobile"
ORIGIN = Origin(Variant.parse(VARIANT), "pixel6", Metric("latency", "seconds"), "1", "py3.11")


def point(day, value=1.0):
    return Point(f"{day:040x}", START + timedelta(days=day), value)


def pairs(*days):
    return [(ORIGIN, point(day, float(day))) for day in days]


def test_points_stand_in_the_order_of_their_commits_dates():
    assert Series.of(pairs(3, 1, 2)).values == (1.0, 2.0, 3.0)


def test_the_order_of_the_history_is_believed_before_the_dates():
    order = [point(day).commit for day in (2, 9, 1)]
    assert Series.of(pairs(1, 2, 3), order).commits == (order[0], order[2])


@given(st.lists(st.integers(0, 50), min_size=1, unique=True))
def test_a_series_does_not_depend_on_the_order_its_points_come_in(days):
    assert Series.of(pairs(*days)) == Series.of(pairs(*reversed(days)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("variant", Variant.parse("resnet18/fx-float-nhwc-mobile")),
        ("device", "pixel7"),
        ("metric", Metric("latency", "bytes")),
        ("version", "2"),
        ("environment", "py3.12"),
        ("settings", (("threads", "4"),)),
    ],
)
def test_what_is_not_comparable_is_refused_with_the_reason(name, value):
    other = (replace(ORIGIN, **{name: value}), point(2))
    with pytest.raises(InputError, match=f"its {name} is .*, theirs is"):
        Series.of([*pairs(1), other])


def test_a_commit_cannot_stand_twice_in_a_series():
    with pytest.raises(InputError, match="twice"):
        Series.of(pairs(1, 1))


def test_a_series_without_points_is_refused():
    with pytest.raises(InputError, match="at least one"):
        Series.of([])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_point_without_a_finite_value_is_refused(value):
    with pytest.raises(InputError, match="the value at commit"):
        point(1, value)


def test_a_series_can_be_cut_at_a_commit():
    series = Series.of(pairs(1, 2, 3))
    assert series.since(point(2).commit).values == (2.0, 3.0)
    with pytest.raises(InputError, match="no value"):
        series.since("f" * 40)
