"""What a comparison says, checked on samples of known distributions; nothing is timed here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.compare import Comparison, compare, compare_all
from mobileopt.effort import ALPHA, Look
from mobileopt.errors import InputError
from mobileopt.estimators import smallest_sample

Lists = list[list[float]]


def noisy(
    rounds: int, factor: float = 1.0, *, seed: int, noise: float = 0.01, each: int = 1
) -> Lists:
    rng = np.random.default_rng(seed)
    return (factor * rng.lognormal(0, noise, (rounds, each))).tolist()


def session(
    rounds: int, factor: float, *, seed: int = 1, noise: float = 0.01
) -> tuple[Lists, Lists]:
    return noisy(rounds, seed=seed, noise=noise), noisy(
        rounds, factor, seed=seed + 1000, noise=noise
    )


samples = st.floats(1e-6, 1e3)
paired = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        *[st.lists(st.lists(samples, min_size=1, max_size=3), min_size=n, max_size=n)] * 2
    )
)


# --- the three verdicts ---------------------------------------------------------------------


def test_a_clear_slowdown_is_called_slower_and_by_how_much():
    a, b = session(100, 1.05)
    verdict = compare(a, b, threshold=0.01)
    assert verdict.verdict == "slower"
    assert verdict.low < 1.05 < verdict.high
    assert str(verdict).startswith("b is 5.")
    assert "slower than a" in str(verdict)
    assert verdict.more_rounds == 0


def test_a_clear_speedup_is_called_faster():
    a, b = session(100, 0.95)
    verdict = compare(a, b, threshold=0.01)
    assert verdict.verdict == "faster"
    assert "% faster than a" in str(verdict)


def test_a_large_speedup_is_told_as_a_factor():
    a, b = session(30, 1 / 3)
    assert "times as fast as eager" in compare(a, b, threshold=0.01).sentence("eager", "mobile")


def test_no_change_is_the_same_within_the_threshold_and_says_how_closely():
    a, b = session(400, 1.0)
    verdict = compare(a, b, threshold=0.01)
    assert verdict.verdict == "same"
    assert verdict.low > 1 / 1.01
    assert verdict.high < 1.01
    assert "no difference between b and a larger than 0." in str(verdict)


def test_a_difference_below_the_threshold_is_not_called_slower_however_certain():
    a, b = session(3000, 1.004)
    verdict = compare(a, b, threshold=0.01)
    assert verdict.low > 1
    assert verdict.verdict == "same"


def test_too_noisy_a_session_is_unclear_and_asks_for_more_rounds():
    a, b = session(20, 1.0, noise=0.2)
    verdict = compare(a, b, threshold=0.01)
    assert verdict.verdict == "unclear"
    assert verdict.more_rounds > 100
    assert f"needs about {verdict.more_rounds} more rounds" in str(verdict)


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("factor", [1.0, 1.02, 100.0])
def test_up_to_five_rounds_never_give_a_verdict_or_an_interval(rounds: int, factor: float):
    verdict = compare(*session(rounds, factor), threshold=0.01)
    assert verdict.verdict == "unclear"
    assert (verdict.low, verdict.high) == (0, math.inf)
    assert verdict.more_rounds >= smallest_sample(ALPHA) - rounds


def test_a_hundredfold_slowdown_is_seen_from_the_smallest_sample_on():
    for rounds in range(smallest_sample(ALPHA), 50):
        assert compare(*session(rounds, 100.0), threshold=0.01).verdict == "slower"


# --- clocks and degenerate samples ----------------------------------------------------------


def test_samples_that_are_all_the_same_have_no_interval_because_the_clock_never_ticked():
    same = [[0.01]] * 50
    verdict = compare(same, same, threshold=0.01)
    assert verdict.verdict == "unclear"
    assert (verdict.low, verdict.high) == (0, math.inf)


def test_an_interval_is_never_narrower_than_the_tick_of_the_clock():
    a = [[0.010]] * 25 + [[0.011]] * 25
    verdict = compare(a, a[::-1], threshold=0.01)
    assert verdict.high / verdict.low > 0.011 / 0.010


def test_samples_in_an_exact_ratio_have_an_interval_and_a_sentence():
    a = noisy(30, seed=1)
    verdict = compare(a, [[2 * each[0]] for each in a], threshold=0.01)
    assert verdict.low < verdict.ratio < verdict.high
    assert str(verdict).startswith("b is 2.000")


def test_cpu_times_are_compared_where_other_processes_stretch_the_wall_times():
    rng = np.random.default_rng(5)
    cpu = session(60, 1.03)
    a, b = ([[each[0] * float(rng.uniform(1, 6))] for each in side] for side in cpu)
    assert compare(a, b, threshold=0.01).verdict == "unclear"
    verdict = compare(a, b, threshold=0.01, cpu=cpu)
    assert (verdict.verdict, verdict.clock) == ("slower", "cpu")
    assert any("interrupted" in note for note in verdict.session.notes)


def test_a_core_that_changes_its_speed_is_noted_but_cpu_times_may_be_compared():
    a, b = session(60, 1.05)
    speed = np.repeat([1.0, 1.7], 30)
    a, b = ([[each[0] * float(f)] for each, f in zip(side, speed, strict=True)] for side in (a, b))
    verdict = compare(a, b, threshold=0.01, cpu=(a, b))
    assert verdict.verdict == "slower"
    assert any("both sides slowed by 7" in note for note in verdict.session.notes)


def test_a_round_is_its_median_so_one_wild_sample_moves_nothing():
    a, b = noisy(40, seed=1, each=5), noisy(40, 1.02, seed=2, each=5)
    for each in b:
        each[2] *= 50
    assert compare(a, b, threshold=0.01).ratio == pytest.approx(1.02, abs=0.01)


# --- launches -------------------------------------------------------------------------------


def test_rounds_of_few_launches_are_not_taken_for_many_repetitions():
    a, b = session(100, 1.05)
    launches = [number // 34 for number in range(100)]
    verdict = compare(a, b, threshold=0.01, launches=launches)
    assert verdict.verdict == "unclear"
    assert (verdict.rounds, verdict.unit) == (3, "launches")
    assert "more launches" in str(verdict)


def test_enough_launches_give_a_verdict():
    a, b = session(100, 1.05)
    verdict = compare(a, b, threshold=0.01, launches=[number // 10 for number in range(100)])
    assert verdict.verdict == "slower"
    assert verdict.rounds == 10


def test_four_launches_that_differ_show_a_large_difference_but_no_small_one():
    launches = [number // 10 for number in range(40)]
    placed = np.repeat([1.0, 1.03, 1.0, 1.03], 10)
    for factor, expected in ((1.02, "unclear"), (1.5, "slower")):
        a, b = session(40, factor)
        b = [[float(f) * each[0]] for f, each in zip(placed, b, strict=True)]
        assert compare(a, b, threshold=0.01, launches=launches).verdict == expected


@pytest.mark.parametrize("rounds", [1, 2, 3, 4, 5])
def test_up_to_five_rounds_give_no_verdict_though_each_is_a_launch(rounds: int):
    verdict = compare(*session(rounds, 3.0), threshold=0.01, launches=range(rounds))
    assert verdict.verdict == "unclear"
    assert math.isinf(verdict.high)
    assert verdict.more_rounds >= 1


def test_a_launch_that_was_dealt_a_slow_placement_is_not_a_slowdown():
    rng = np.random.default_rng(3)
    false = 0
    for seed in range(100):
        a, b = session(80, 1.0, seed=seed, noise=0.005)
        placed = np.repeat(rng.choice([1.0, 1.04], 10), 8)
        b = [[float(f) * each[0]] for f, each in zip(placed, b, strict=True)]
        placed = np.repeat(rng.choice([1.0, 1.04], 10), 8)
        a = [[float(f) * each[0]] for f, each in zip(placed, a, strict=True)]
        launches = [number // 8 for number in range(80)]
        false += compare(a, b, threshold=0.01, launches=launches).verdict in ("slower", "faster")
    assert false <= 5


# --- a broken session -----------------------------------------------------------------------


def test_a_machine_that_throttles_breaks_the_session():
    a, b = session(60, 1.05)
    heat = np.linspace(1, 1.6, 60)
    a = [[each[0] * float(f)] for each, f in zip(a, heat, strict=True)]
    b = [[each[0] * float(f)] for each, f in zip(b, heat, strict=True)]
    verdict = compare(a, b, threshold=0.01)
    assert verdict.verdict == "unclear"
    assert not verdict.session.sound
    assert "both sides slowed by" in str(verdict)


def test_a_ratio_that_moves_during_the_session_breaks_it():
    a, b = session(60, 1.0)
    b = b[:30] + [[1.2 * each[0]] for each in b[30:]]
    verdict = compare(a, b, threshold=0.01)
    assert "b against a moved by" in str(verdict)


def test_a_control_that_differs_from_itself_breaks_the_session():
    a, b = session(60, 1.05)
    verdict = compare(a, b, threshold=0.01, control=session(60, 1.03, seed=7))
    assert verdict.verdict == "unclear"
    assert "the control, a against itself, differs by +" in str(verdict)


def test_a_control_that_agrees_leaves_the_verdict():
    a, b = session(60, 1.05)
    verdict = compare(a, b, threshold=0.01, control=session(60, 1.0, seed=7))
    assert verdict.verdict == "slower"
    assert verdict.session.sound


def test_a_sound_session_is_hardly_ever_called_broken():
    broken = [
        not compare(*session(60, 1.0, seed=seed, noise=0.05), threshold=0.01).session.sound
        for seed in range(300)
    ]
    assert sum(broken) <= 2


# --- invariants -----------------------------------------------------------------------------


@given(paired)
@settings(deadline=None, max_examples=60)
def test_swapping_the_sides_inverts_the_ratio_and_mirrors_the_verdict(rounds: tuple[Lists, Lists]):
    a, b = rounds
    forth, back = compare(a, b, threshold=0.01), compare(b, a, threshold=0.01)
    mirror = {"slower": "faster", "faster": "slower", "same": "same", "unclear": "unclear"}
    assert back.ratio == pytest.approx(1 / forth.ratio, rel=1e-8)
    assert back.low == pytest.approx(1 / forth.high, rel=1e-8)
    assert back.verdict == mirror[forth.verdict]
    assert back.session.sound == forth.session.sound


@given(paired, st.sampled_from([2.0**-20, 0.5, 8.0, 2.0**20]))
@settings(deadline=None, max_examples=40)
def test_scaling_both_sides_leaves_the_comparison(rounds: tuple[Lists, Lists], scale: float):
    a, b = rounds
    scaled = [[[scale * value for value in each] for each in side] for side in (a, b)]
    plain, other = compare(a, b, threshold=0.01), compare(*scaled, threshold=0.01)
    assert other.ratio == pytest.approx(plain.ratio, rel=1e-8)
    assert other.verdict == plain.verdict


@given(paired)
@settings(deadline=None, max_examples=60)
def test_the_interval_holds_the_ratio_and_is_never_empty(rounds: tuple[Lists, Lists]):
    verdict = compare(*rounds, threshold=0.01)
    assert verdict.low <= verdict.ratio <= verdict.high
    assert verdict.low < verdict.high


@given(st.integers(0, 10_000), st.sampled_from([0.9, 1.0, 1.02]))
@settings(deadline=None, max_examples=40)
def test_more_rounds_of_the_same_kind_narrow_the_interval(seed: int, factor: float):
    a, b = session(400, factor, seed=seed)
    widths = [
        math.log(verdict.high / verdict.low)
        for n in (10, 40, 400)
        for verdict in [compare(a[:n], b[:n], threshold=0.01)]
    ]
    assert widths[2] < widths[1] < 1.5 * widths[0]


# --- looks ----------------------------------------------------------------------------------


def test_looking_three_times_keeps_the_error_rate():
    false = 0
    for seed in range(150):
        a, b = session(80, 1.0, seed=seed, noise=0.05)
        false += any(
            compare(a[:n], b[:n], threshold=0.001, look=Look(k, of=3)).verdict == "slower"
            for k, n in enumerate((20, 40, 80), start=1)
        )
    assert false <= 5  # at most 0.75 is expected, and more than 5 has a probability below 0.001


# --- several variants -----------------------------------------------------------------------


def test_several_variants_are_each_compared_with_the_baseline():
    rounds = {
        "eager": noisy(60, seed=1),
        "mobile": noisy(60, 0.5, seed=2),
        "scripted": noisy(60, 1.0, seed=3),
    }
    found = compare_all(rounds, "eager", threshold=0.02)
    assert {name: each.verdict for name, each in found.items()} == {
        "mobile": "faster",
        "scripted": "same",
    }
    assert {each.alpha for each in found.values()} == {ALPHA / 2}


def test_a_baseline_that_was_not_measured_is_refused():
    with pytest.raises(InputError, match="'eager' needs rounds"):
        compare_all({"mobile": [[1.0]], "lite": [[1.0]]}, "eager", threshold=0.01)


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0, -0.01, math.nan, math.inf])
def test_a_threshold_that_is_no_difference_is_refused(threshold: float):
    with pytest.raises(InputError, match="not a relative difference above 0"):
        compare([[1.0]], [[1.0]], threshold=threshold)


def test_a_comparison_cannot_be_changed():
    verdict: Comparison = compare([[1.0]], [[2.0]], threshold=0.01)
    with pytest.raises(AttributeError):
        verdict.verdict = "same"  # pyright: ignore[reportAttributeAccessIssue] - on purpose
