from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.clocks import clock_ratio, effective_frequencies, elapsed, leaders, total
from mobileopt.device import Cpu, State

LOW, MIDDLE, TOP = 4e8, 1e9, 2e9


def state(little: dict[float, float], big: dict[float, float], limit: float = TOP) -> State:
    cpus = [Cpu(0, 0, top=TOP, limit=TOP, residency=little), Cpu(1, 0, top=TOP, residency=little)]
    return State(cpus=(*cpus, Cpu(4, 4, top=TOP, limit=limit, residency=big)))


BEFORE = state({LOW: 10.0}, {LOW: 10.0, TOP: 5.0})
AFTER = state({LOW: 20.0}, {LOW: 10.0, TOP: 15.0})


def test_the_effective_frequency_is_weighted_by_the_time_between_the_states():
    after = state({LOW: 10.0}, {LOW: 12.0, MIDDLE: 4.0, TOP: 9.0})
    found = effective_frequencies(elapsed(BEFORE, after))
    assert found == {4: pytest.approx((2 * LOW + 4 * MIDDLE + 4 * TOP) / 10)}


def test_the_cluster_that_ran_counts_and_the_idle_one_does_not():
    spent = elapsed(BEFORE, AFTER)
    assert clock_ratio(BEFORE, spent) == 1.0
    assert clock_ratio(BEFORE, spent, cores=(0,)) == pytest.approx(LOW / TOP)


def test_fixed_performance_is_judged_by_what_the_kernel_allowed():
    held = state({}, {}, limit=MIDDLE)
    assert clock_ratio(held, {4: {MIDDLE: 5.0}}) == 0.5
    assert clock_ratio(held, {4: {MIDDLE: 5.0}}, fixed=True) == 1.0


def test_a_counter_that_went_backwards_is_no_accounting():
    assert elapsed(AFTER, BEFORE) == {}
    assert clock_ratio(AFTER, {}) is None


def test_the_time_of_several_launches_is_added_up():
    parts = [{4: {LOW: 1.0}}, {4: {LOW: 0.5, TOP: 2.0}}, {}, {0: {LOW: 1.0}}]
    assert total(parts) == {4: {LOW: 1.5, TOP: 2.0}, 0: {LOW: 1.0}}


def test_each_cluster_is_told_by_its_lowest_core():
    assert leaders(BEFORE) == (0, 4)
    assert leaders(BEFORE, (1,)) == (0,)
    assert leaders(State(), (1,)) == ()


frequencies = st.sampled_from([LOW, MIDDLE, TOP])
residencies = st.dictionaries(frequencies, st.floats(0, 1e6), min_size=1)


@settings(deadline=None)
@given(residencies, st.dictionaries(frequencies, st.floats(0.01, 1e6), min_size=1))
def test_the_effective_frequency_lies_between_the_lowest_and_the_highest_used(start, spent):
    end = {hz: start.get(hz, 0.0) + spent.get(hz, 0.0) for hz in {*start, *spent}}
    found = effective_frequencies(elapsed(state({}, start), state({}, end)))
    if 4 in found:
        assert min(spent) * 0.999 <= found[4] <= max(spent) * 1.001
