"""When to look at a growing session, what a look may cost, and what is lacking."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_compare import session

from mobileopt.compare import compare
from mobileopt.effort import ALPHA, Look, lacking, schedule, spend
from mobileopt.errors import InputError
from mobileopt.estimators import Interval, smallest_sample

MARGIN = math.log1p(0.01)


def more(estimate: float, half: float, *, units: int = 20, fewest: int = 8) -> int:
    """What is lacking after `units` rounds with this estimate and this half of an interval."""
    interval = Interval(estimate, estimate - half, estimate + half)
    noise = np.linspace(-0.01, 0.01, units)
    return lacking(interval, noise, MARGIN, ALPHA, fewest)


@pytest.mark.parametrize("looks", [1, 2, 5, 9])
def test_the_looks_share_the_error_rate_and_no_more(looks: int):
    shares = [spend(ALPHA, look, looks) for look in range(1, looks + 1)]
    assert sum(shares) == pytest.approx(ALPHA)
    assert shares[-1] == max(shares)


@pytest.mark.parametrize("most", [8, 20, 24, 160, 500])
def test_a_schedule_ends_where_it_was_told_and_every_look_can_give_a_verdict(most: int):
    looks = schedule(most)
    assert looks[-1] == most
    assert all(2 * now <= then for now, then in itertools.pairwise(looks))
    for number, rounds in enumerate(looks, start=1):
        a, b = session(rounds, 2.0)
        look = Look(number, of=len(looks))
        assert compare(a, b, threshold=0.01, look=look).verdict == "slower"


def test_a_schedule_too_short_for_a_verdict_is_refused():
    with pytest.raises(InputError, match="7 rounds cannot give a verdict"):
        schedule(7)


@pytest.mark.parametrize("factor", [1.0, 1.02])
def test_the_rounds_that_were_lacking_are_about_enough(factor: float):
    enough = []
    for seed in range(15):
        a, b = session(4000, factor, seed=seed, noise=0.03)
        rounds = 30
        while (so_far := compare(a[:rounds], b[:rounds], threshold=0.01)).more_rounds:
            rounds += so_far.more_rounds
        enough.append(rounds)
    needed = ((2.58 + 1.28) * math.sqrt(2) * 0.03 / (0.01 if factor == 1 else 0.02)) ** 2
    assert needed / 3 < np.median(enough) < 3 * needed


@pytest.mark.parametrize("number", [0, 6, -1])
def test_a_look_that_was_not_planned_is_refused(number: int):
    with pytest.raises(InputError, match="none of the 5 that were planned"):
        Look(number, of=5)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_an_error_rate_that_is_no_probability_is_refused(alpha: float):
    with pytest.raises(InputError, match="not a probability"):
        Look(alpha=alpha)


@given(st.integers(8, 100_000), st.integers(1, 12))
def test_a_schedule_has_as_many_looks_as_its_first_can_use_and_no_more(most: int, looks: int):
    planned = schedule(most, looks)
    assert planned[0] >= smallest_sample(Look(of=len(planned)).share)
    longer = len(planned) + 1
    assert len(planned) == looks or most >> len(planned) < smallest_sample(Look(of=longer).share)


def test_an_interval_twice_too_wide_takes_four_times_the_rounds():
    assert more(0.0, 2 * MARGIN) == 4 * 20 - 20
    assert more(2 * MARGIN, 4 * MARGIN) == 4 * 20 - 20


@given(st.floats(-2, 2), st.floats(1e-3, 2))
def test_a_close_call_takes_at_most_four_times_the_rounds_and_at_least_one_more(off, part):
    needed = more(off * MARGIN, part * MARGIN)
    assert 1 <= needed <= max(4, 4 * part**2) * 20 - 20 + 1


@pytest.mark.parametrize("units", [1, 2, 7])
def test_without_an_interval_the_fewest_that_give_one_are_lacking(units: int):
    assert more(0.0, math.inf, units=units) >= 8 - units
