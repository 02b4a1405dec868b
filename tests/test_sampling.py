from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt import sampling
from mobileopt.errors import InputError
from mobileopt.sampling import Budget
from mobileopt.variant import BASELINE, Recipe

times = st.lists(st.floats(1e-4, 1e2), min_size=11, max_size=40)


def noisy(level: float, spread: float, rounds: int, seed: int = 0) -> list[tuple[float, ...]]:
    draw = random.Random(seed)
    return [tuple(level * draw.lognormvariate(0, spread) for _ in range(3)) for _ in range(rounds)]


def test_a_steady_session_ends_at_the_first_look():
    rounds = {"a": noisy(1.0, 0.001, 12), "b": noisy(0.5, 0.001, 12, seed=1)}
    budget = Budget(rounds=24)
    assert budget.looks == (12, 24)
    assert sampling.enough(rounds, "a", budget, 12)


def test_a_noisy_session_goes_on_to_its_last_round_and_no_further():
    rounds = {"a": noisy(1.0, 0.2, 24), "b": noisy(0.5, 0.2, 24, seed=1)}
    budget = Budget(rounds=24)
    twelve = {name: each[:12] for name, each in rounds.items()}
    assert not sampling.enough(twelve, "a", budget, 12)
    assert sampling.enough(rounds, "a", budget, 24)


def test_one_variant_that_is_not_known_yet_keeps_the_session_going():
    rounds = {
        "a": noisy(1.0, 0.001, 12),
        "b": noisy(0.5, 0.001, 12, seed=1),
        "c": noisy(0.5, 0.3, 12, seed=2),
    }
    assert not sampling.enough(rounds, "a", Budget(rounds=24), 12)


def test_between_looks_nothing_is_decided():
    rounds = {"a": noisy(1.0, 0.0001, 11), "b": noisy(0.5, 0.0001, 11)}
    assert not sampling.enough(rounds, "a", Budget(rounds=24), 11)


def test_a_baseline_alone_is_known_by_its_own_time():
    assert sampling.enough({"a": noisy(1.0, 0.001, 12)}, "a", Budget(rounds=24), 12)
    assert not sampling.enough({"a": noisy(1.0, 0.3, 12)}, "a", Budget(rounds=24), 12)


def test_too_few_rounds_for_an_interval_are_simply_all_done():
    budget = Budget(rounds=2)
    assert budget.looks == (2,)
    assert sampling.enough({"a": noisy(1.0, 0.3, 2)}, "a", budget, 2)


@pytest.mark.parametrize(
    "fields",
    [{"rounds": 0}, {"precision": 0.0}, {"seconds": -1.0}, {"warmup": -1}, {"precision": 1e999}],
)
def test_a_budget_that_measures_nothing_is_refused(fields):
    with pytest.raises(InputError):
        Budget(**fields)


@given(st.lists(st.text(), unique=True, max_size=8), st.integers(), st.integers(1, 99))
def test_each_round_holds_each_variant_once_in_an_order_that_can_be_drawn_again(names, seed, n):
    drawn = sampling.order(names, seed, n)
    assert sorted(drawn) == sorted(names)
    assert drawn == sampling.order(names, seed, n)


def test_the_orders_of_rounds_differ():
    names = list("abcdef")
    assert len({tuple(sampling.order(names, 1, number)) for number in range(20)}) > 10


@given(times)
def test_times_that_do_not_fall_have_settled(samples):
    assert sampling.settled(sorted(samples))


@given(times)
def test_leading_times_twice_as_long_have_not_settled(samples):
    level = samples[0]
    assert not sampling.settled([2 * level] * 5 + [level] * 6)


def test_too_few_samples_to_tell_have_settled():
    assert sampling.settled([9.0, 1.0])


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_warm_up_grows_until_its_limit(warmup, limit):
    more = sampling.more_warmup(warmup, limit)
    assert more <= limit
    assert more > warmup or more == limit


def test_the_plainest_recipe_takes_the_baselines_part():
    recipes = [
        Recipe.parse(text)
        for text in ("fused-int8_qnnpack-nhwc-mobile", "unfused-float-nchw-mobile")
    ]
    assert sampling.closest(recipes) == recipes[1]
    assert sampling.closest([*recipes, BASELINE]) == BASELINE
    with pytest.raises(InputError):
        sampling.closest([])


def test_drift_is_how_much_slower_the_reference_became():
    assert sampling.drift([2.0, 1.0, 3.0], [2.2, 2.2]) == pytest.approx(0.1)


def test_warm_up_grows_no_further_than_there_is_time_for():
    seconds, warmup, iterations = 50.0, 10, 15  # two seconds an iteration
    affordable = sampling.affordable_warmup(seconds, warmup, iterations, longest=60.0)
    assert sampling.more_warmup(warmup, 160, affordable) == 15
    too_slow = sampling.affordable_warmup(seconds, warmup, iterations, longest=40.0)
    assert sampling.more_warmup(warmup, 160, too_slow) < warmup


def test_a_launch_may_take_half_its_deadline_and_its_share_of_the_session():
    budget = Budget(rounds=24, seconds=900)
    assert budget.longest(variants=1, deadline=100) == 50
    assert budget.longest(variants=5, deadline=100) == 900 / (12 * 5)
