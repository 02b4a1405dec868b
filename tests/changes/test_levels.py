"""The noise and the levels of a history, whatever steps and outliers are in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.changes._levels import level, levels_around, noise

SIGMA, FLOOR = 0.01, 1e-6


def quiet(length, seed=0):
    return np.random.default_rng(seed).normal(0, SIGMA, length)


@settings(deadline=None)
@given(st.integers(0, 1000), st.floats(-20, 20))
def test_noise_is_what_it_is_in_every_unit_and_from_either_end(seed, moved):
    x = quiet(50, seed)
    assert noise(x + moved, FLOOR) == pytest.approx(noise(x, FLOOR), rel=1e-6)
    assert noise(x[::-1], FLOOR) == pytest.approx(noise(x, FLOOR), rel=1e-12)


def test_noise_is_its_standard_deviation():
    assert noise(quiet(4000), FLOOR) == pytest.approx(SIGMA, rel=0.05)


def test_no_step_and_few_outliers_enter_the_noise():
    x = quiet(200)
    moved = x + np.repeat([0.0, 1.0, -1.0, 0.5], 50)
    moved[::40] += 3.0
    assert noise(moved, FLOOR) < 1.4 * noise(x, FLOOR)


def test_the_noise_of_a_coarse_timer_is_not_nothing():
    x = np.log(np.where(np.arange(90) % 3 == 0, 1.01, 1.0))
    x[1::2] = x[::2]
    assert np.median(np.abs(np.diff(x))) == 0
    assert noise(x, FLOOR) > 0.1 * SIGMA


@pytest.mark.parametrize("length", [2, 3, 50])
def test_a_history_without_noise_has_the_least(length):
    assert noise(np.zeros(length), FLOOR) == FLOOR


@settings(deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.floats(1e-6, 1))
def test_a_level_lies_among_the_results(values, sigma):
    assert min(values) - 1e-9 <= level(np.array(values), sigma) <= max(values) + 1e-9


def test_a_level_is_the_mean_of_what_is_no_outlier():
    x = quiet(40)
    near = level(x, SIGMA)
    assert near == pytest.approx(x[np.abs(x - near) < 3 * SIGMA].mean(), abs=1e-12)
    with_outliers = np.append(x, [0.5, 0.5, -0.9])
    assert level(with_outliers, SIGMA) == pytest.approx(near, abs=SIGMA / 5)


def test_levels_are_read_next_to_the_change_and_not_beyond_its_neighbours():
    x = np.concatenate([np.linspace(-1, 0, 100), np.full(30, 0.0), np.full(30, 0.2), [9.0] * 50])
    assert levels_around(x, 0, 130, 160, SIGMA) == pytest.approx((0.0, 0.2), abs=1e-12)
    assert levels_around(x, 0, 158, 160, SIGMA) == pytest.approx((0.2, 0.2), abs=1e-12)
    assert levels_around(x, 100, 103, 130, SIGMA) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert levels_around(x, 0, 130, len(x), SIGMA) == pytest.approx((0.0, 0.2), abs=1e-12)
