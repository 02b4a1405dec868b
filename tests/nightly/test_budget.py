import time
from datetime import datetime, timedelta

import pytest

from mobileopt.errors import ConfigurationError
from mobileopt.nightly.budget import Budget, next_time, parse_until

EVENING = datetime(2026, 3, 1, 22)


def test_a_night_from_ten_in_the_evening_until_half_past_six_ends_tomorrow():
    assert next_time(EVENING, "06:30") == EVENING + timedelta(hours=8, minutes=30)
    assert next_time(EVENING, "23:00") == EVENING + timedelta(hours=1)
    assert next_time(EVENING, "") is None


def test_a_night_in_which_clocks_are_changed_ends_when_they_show_the_time(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        start = datetime(2026, 3, 28, 22)
        seconds = next_time(start, "06:30").timestamp() - start.timestamp()
        assert seconds == 7.5 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["6", "24:00", "06:60", "half past six", "06:30:00"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ConfigurationError, match="time of day"):
        parse_until(text)


def test_measuring_leaves_the_reserve_to_making_sure():
    budget = Budget(0.0, 100.0, reserve=0.4)
    assert budget.fits(50.0, 10.0, measuring=True)
    assert not budget.fits(50.0, 10.1, measuring=True)
    assert budget.fits(50.0, 50.0)
    assert not budget.fits(50.0, 50.1)


def test_without_an_end_everything_fits():
    assert Budget(0.0).fits(1e9, 1e9, measuring=True)
    assert Budget(0.0).left(1e9) is None


def test_what_is_left_is_never_negative():
    assert Budget(0.0, 10.0).left(12.0) == 0.0
    assert Budget(0.0, 10.0, reserve=0.4).left(5.0, measuring=True) == 1.0
