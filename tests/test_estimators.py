"""The location and its interval, against their definitions and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mobileopt.effort import ALPHA
from mobileopt.estimators import location, signed_rank_interval


@given(st.lists(st.floats(-1, 1), min_size=8, max_size=40))
@settings(deadline=None, max_examples=60)
def test_the_location_is_the_median_of_the_walsh_averages(values: list[float]):
    vector = np.array(values)
    averages = [(x + y) / 2 for i, x in enumerate(values) for y in values[i:]]
    assert location(vector) == pytest.approx(np.median(averages), abs=1e-9)


@given(st.integers(0, 10_000), st.integers(8, 40), st.integers(1, 6))
@settings(deadline=None, max_examples=60)
def test_an_interval_over_groups_is_never_narrower_than_one_without(seed: int, n: int, each: int):
    vector = np.random.default_rng(seed).normal(0, 1, n * each)
    groups = np.repeat(np.arange(n), each)
    plain, grouped = (signed_rank_interval(vector, ALPHA, g) for g in (None, groups))
    assert grouped.low <= plain.low <= plain.high <= grouped.high
    assert grouped.estimate == plain.estimate


def test_offsets_shared_by_a_group_are_covered_by_the_interval_over_groups_alone():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(16), 20)
    missed = {"plain": 0, "grouped": 0}
    for _ in range(200):
        vector = np.repeat(rng.normal(0, 1, 16), 20) + rng.normal(0, 0.2, 320)
        for name, known in (("plain", None), ("grouped", groups)):
            interval = signed_rank_interval(vector, ALPHA, known)
            missed[name] += not interval.low <= 0 <= interval.high
    assert missed["plain"] > 80
    assert missed["grouped"] <= 8


@given(st.integers(0, 10_000), st.integers(8, 25), st.floats(0, 1.5))
@settings(deadline=None, max_examples=60)
def test_the_interval_excludes_zero_exactly_when_wilcoxons_test_rejects(
    seed: int, n: int, away: float
):
    vector = np.random.default_rng(seed).normal(away, 1, n)
    interval = signed_rank_interval(vector, ALPHA)
    p = float(stats.wilcoxon(vector, method="exact")[1])  # pyright: ignore[reportArgumentType] - scipy is untyped
    assert (not interval.low <= 0 <= interval.high) == (p <= ALPHA)


def test_the_normal_approximation_takes_over_without_a_step():
    widths = []
    for n in (58, 60, 61, 63):
        vector = stats.norm.ppf((np.arange(n) + 0.5) / n)
        widths.append(signed_rank_interval(vector, ALPHA).half_width * math.sqrt(n))
    assert max(widths) / min(widths) < 1.03
