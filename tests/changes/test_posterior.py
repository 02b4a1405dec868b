"""The posterior of a jump, as chances have to be and block by block."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.changes._posterior import BLOCK, MARGIN, jump_probability

SIGMA = 0.01


def quiet(length, seed=0):
    return np.random.default_rng(seed).normal(0, SIGMA, length)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=12), st.floats(0.001, 0.5))
def test_whatever_the_results_there_is_a_chance_for_each_and_none_before_the_first(values, sigma):
    chances = jump_probability(np.array(values), sigma)
    assert chances.shape == (len(values),)
    assert chances[0] == 0
    assert np.all((chances >= 0) & (chances <= 1))


@pytest.mark.parametrize("size", [0.1, -0.1, 2.0, -2.0])
def test_a_step_is_one_jump_where_it_is(size):
    chances = jump_probability(quiet(40) + np.repeat([0, size], 20), SIGMA)
    assert chances.argmax() == 20
    assert chances[18:23].sum() == pytest.approx(1, abs=0.1)
    assert chances[:18].sum() + chances[23:].sum() < 0.5


@pytest.mark.parametrize("bump", [[0.2], [-0.2], [0.08, 0.08, 0.08]])
def test_an_outlier_and_a_while_of_throttling_are_no_jump(bump):
    x = quiet(60)
    x[30 : 30 + len(bump)] += bump
    assert jump_probability(x, SIGMA)[27:37].sum() < 0.5


@settings(deadline=None, max_examples=5)
@given(st.floats(-30, 30))
def test_the_unit_of_the_results_does_not_matter(moved):
    x = quiet(40) + np.repeat([0, 0.05], 20)
    assert jump_probability(x + moved, SIGMA) == pytest.approx(jump_probability(x, SIGMA), abs=1e-3)


def test_a_history_told_backwards_has_the_same_jumps():
    x = quiet(40, seed=1) + np.repeat([0, 0.06], 20)
    forth, back = jump_probability(x, SIGMA), jump_probability(x[::-1], SIGMA)
    assert back[1:][::-1] == pytest.approx(forth[1:], abs=0.05)


def test_a_long_history_is_read_in_blocks_and_none_of_its_borders_is_a_jump():
    x = quiet(BLOCK + 200)
    assert jump_probability(x, SIGMA).max() < 0.5


@pytest.mark.parametrize("at", [MARGIN, 200 + MARGIN, 300, BLOCK - MARGIN, BLOCK, BLOCK + 100])
def test_a_step_is_one_jump_wherever_the_blocks_meet(at):
    x = quiet(BLOCK + 200)
    x[at:] += 0.1
    chances = jump_probability(x, SIGMA)
    assert chances.argmax() == at
    assert chances[at - 2 : at + 3].sum() == pytest.approx(1, abs=0.1)


def test_throttling_in_a_long_history_is_looked_for_in_the_block_that_shows_it():
    x = quiet(BLOCK + 200)
    for start in range(20, 150, 30):
        x[start : start + 4] += 0.15
    assert jump_probability(x, SIGMA).max() < 0.5
