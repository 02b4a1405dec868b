"""Rounds of samples on their way into a comparison."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_compare import paired, session

from mobileopt.errors import InputError
from mobileopt.rounds import INTERRUPTED, pair


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ([], [], "has 0 rounds"),
        ([[1.0]], [[1.0], [1.0]], "b has 2 rounds and its partner 1"),
        ([[1.0]], [[]], "round 1 of b has no samples"),
        ([[1.0], [0.0]], [[1.0], [1.0]], "round 2 of a has the sample 0.0"),
        ([[math.nan]], [[1.0]], "the sample nan"),
        ([["fast"]], [[1.0]], "not lists of numbers"),
        ([[10**400]], [[1.0]], "not lists of numbers"),
        ([[1.0]], [None], "the sample nan"),
        ([[1.0, math.inf]], [[1.0]], "round 1 of a has the sample inf"),
    ],
)
def test_rounds_that_cannot_be_compared_are_refused_in_one_sentence(a, b, words):
    with pytest.raises(InputError, match=words):
        pair(a, b)


def test_cpu_times_that_do_not_match_the_samples_are_refused():
    with pytest.raises(InputError, match="CPU times of b are not one for each"):
        pair([[1.0]], [[1.0, 2.0]], ([[1.0]], [[1.0]]))


@settings(deadline=None, max_examples=40)
@given(paired)
def test_swapping_the_sides_turns_each_ratio_around_and_leaves_the_rest(rounds):
    forth, back = pair(*rounds), pair(*reversed(rounds))
    assert list(back.ratios) == pytest.approx(list(-forth.ratios), abs=1e-12)
    assert list(back.levels) == pytest.approx(list(forth.levels), abs=1e-12)
    assert back.tick == pytest.approx(forth.tick, rel=1e-12)


@given(st.permutations([1.0, 1.1, 1.2, 1.3, 90.0]))
def test_a_round_is_its_median_whatever_the_order_of_its_samples(samples):
    assert list(pair([samples], [[1.2]]).ratios) == [0.0]


def test_cpu_times_of_several_threads_are_not_compared():
    a, b = session(60, 1.03)
    cpu = [[[3.5 * each[0]] for each in side] for side in (a, b)]
    found = pair(a, b, (cpu[0], cpu[1]))
    assert found.clock == "wall"
    assert list(found.left) == [each[0] for each in a]


def test_the_share_of_interrupted_samples_is_that_of_both_sides():
    wall = [[1.0, INTERRUPTED], [1.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]
    cpu = [[1.0, 1.0], [1.0, 1.0]]
    found = pair(*wall, (cpu, cpu))
    assert (found.clock, found.interrupted) == ("cpu", 2 / 8)
    assert pair(*wall).interrupted is None


def test_a_tick_is_half_of_the_clocks_finest_step_on_either_side():
    found = pair([[0.010], [0.013]], [[0.010], [0.012]])
    expected = math.log1p(0.0005 / 0.0115) + math.log1p(0.0005 / 0.011)
    assert found.tick == pytest.approx(expected, rel=1e-6)
    assert math.isinf(pair([[0.01]] * 9, [[0.01]] * 9).tick)


def test_what_is_read_keeps_its_rounds_in_order():
    found = pair([[1.0], [2.0], [4.0]], [[2.0], [4.0], [8.0]])
    assert np.exp(found.ratios).tolist() == pytest.approx([2.0] * 3)
    assert np.exp(found.levels).tolist() == pytest.approx([math.sqrt(2) * n for n in (1, 2, 4)])
