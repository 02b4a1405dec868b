import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.nightly.suspicion import AROUND, steps


def suspected(values, min_effect=0.03, sensitivity=3.0):
    return steps(values, min_effect=min_effect, sensitivity=sensitivity)


def noisy(levels, sigma=0.01, seed=0):
    drawn = random.Random(seed)
    return [level * drawn.lognormvariate(0, sigma) for level in levels]


@pytest.mark.parametrize("at", range(1, 10))
def test_a_third_more_is_suspected_wherever_it_starts_in_ten_results(at):
    found = suspected(noisy([1.0] * at + [1.33] * (10 - at), seed=at))
    assert [step.index for step in found] == [at]
    assert found[0].ratio == pytest.approx(1.33, rel=0.05)


def test_one_result_after_the_change_is_enough_and_so_is_one_before():
    assert [step.index for step in suspected([1.0, 1.3])] == [1]


def test_of_four_loaded_results_two_slow_ones_are_suspected():
    # Taken on a busy host, in milliseconds; the third commit made it slower.
    first = suspected([0.941, 0.979, 1.592, 1.266])[0]
    assert (first.index, first.after > first.before) == (2, True)


@pytest.mark.parametrize("at", [1, 2])
def test_of_three_sizes_any_that_differs_is_suspected(at):
    sizes = [4215.0] * at + [4529.0] * (3 - at)
    found = steps(sizes, min_effect=0.03, sensitivity=3.0, exact=True)
    assert [step.index for step in found] == [at]


def test_a_change_and_its_revert_are_two_steps():
    found = suspected(noisy([1.0] * 4 + [1.4] * 3 + [1.0] * 4))
    assert [(step.index, step.after > step.before) for step in found] == [(4, True), (7, False)]


def test_an_outlier_between_results_is_not_suspected():
    assert suspected(noisy([1.0] * 5 + [1.5] + [1.0] * 6)) == []


def test_a_change_below_the_least_effect_is_not_suspected():
    assert suspected(noisy([1.0] * 8 + [1.02] * 8, sigma=0.0005)) == []


def test_the_commits_to_compare_lie_beside_the_change_and_not_past_another():
    step, revert = suspected(noisy([1.0] * 6 + [1.4] * 3 + [1.0] * 6))
    assert step.good == step.index - 1 - AROUND
    assert step.bad == step.index + AROUND
    assert revert.good == 6


def test_a_result_alone_and_no_result_have_no_steps():
    assert suspected([1.0]) == suspected([]) == []


@given(st.lists(st.floats(1e-6, 1e6), max_size=30))
def test_every_step_lies_between_a_good_and_a_bad_result(values):
    for step in suspected(values):
        assert 0 <= step.good < step.index <= step.bad < len(values)


@given(st.integers(2, 40), st.integers(0, 1000))
def test_results_that_repeat_exactly_are_never_suspected(count, seed):
    assert suspected([random.Random(seed).uniform(0.001, 1)] * count) == []
