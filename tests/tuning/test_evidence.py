import math

import pytest
from tuning.races import Machine, name

from mobileopt.tuning import evidence
from mobileopt.tuning.evidence import Batch, Heat
from mobileopt.tuning.race import Ask

A, B, C = map(name, "abc")


def heats(machine, *batches, launches=6):
    return [machine.measure(Ask(n, A, batches)) for n in range(launches)]


def compare(found, one=B, other=A, alpha=0.01):
    return evidence.compare(found, one, other, alpha)


def test_the_interval_holds_the_true_ratio_of_two_in_one_batch():
    interval = compare(heats(Machine({"a": 0.01, "b": 0.011}), (A, B)))
    assert interval.low < math.log(1.1) < interval.high
    assert interval.half_width < 0.03


def test_two_in_different_batches_are_compared_through_the_reference():
    found = heats(Machine({"a": 0.02, "b": 0.01, "c": 0.012}), (A, B), (A, C))
    interval = compare(found, C, B)
    assert interval.low < math.log(1.2) < interval.high


def test_within_a_batch_the_reference_cancels():
    times = {A: [(1.0,), (9.0,)], B: [(2.0,), (2.0,)], C: [(4.0,), (4.0,)]}
    heat = Heat(A, (Batch(times, times, {}),))
    assert compare([heat], C, B).estimate == pytest.approx(math.log(2))


def test_one_launch_has_an_interval_wide_enough_for_what_a_launch_is_dealt():
    interval = compare(heats(Machine({"a": 0.01, "b": 0.01}, noise=1e-6), (A, B), launches=1))
    assert interval.half_width > 2 * evidence.LAUNCH_SCATTER


def test_before_four_launches_the_interval_reaches_from_the_smallest_to_the_largest_round():
    times = {A: [(1.0,)] * 3, B: [(1.0,), (2.0,), (4.0,)]}
    interval = compare([Heat(A, (Batch(times, times, {}),))] * 3)
    assert interval.low < 0 < interval.estimate < math.log(4) < interval.high


def test_without_a_common_launch_nothing_is_known():
    machine = Machine({"a": 0.01, "b": 0.01})
    assert math.isinf(compare(heats(machine, (A,)), B, A).high)


def test_the_fastest_is_found_though_the_reference_changes():
    machine = Machine({"a": 0.02, "b": 0.01, "c": 0.015})
    found = [machine.measure(Ask(0, A, ((A, B, C),))), machine.measure(Ask(1, C, ((C, A, B),)))]
    assert evidence.fastest(found, [A, B, C]) == B


def test_a_batch_without_a_finished_round_says_nothing():
    empty = Batch({A: [], B: []}, {A: [], B: []}, {A: 1.0, B: 1.0})
    heat = Heat(A, (empty,))
    assert not heat.ratios
    assert heat.seconds == 2.0


def test_the_measuring_time_is_that_of_warm_up_and_measured_passes():
    times = {A: [(0.1, 0.2)], B: [(0.3,)]}
    heat = Heat(A, (Batch(times, times, {A: 1.0, B: 2.0}),))
    assert heat.seconds == pytest.approx(3.6)
    assert heat.samples(A) == 2
