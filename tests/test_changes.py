import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt import changes
from mobileopt.changes import ChangePoint, SeriesKey, find, find_together
from mobileopt.errors import InputError

NOISE = 0.01


def noisy(level, seed=0):
    level = np.asarray(level, dtype=float)
    return level * np.exp(np.random.default_rng(seed).normal(0, NOISE, len(level)))


def step(size, before=40, after=40, seed=0):
    return noisy([1.0] * before + [1 + size] * after, seed)


def indices(values, **options):
    return [point.index for point in find(list(values), **options)]


@pytest.mark.parametrize("size", [0.05, 0.1, 0.2, -0.05, -0.1, -0.2])
def test_a_step_is_found_where_it_is_with_its_levels(size):
    (point,) = find(list(step(size)))
    assert abs(point.index - 40) <= 1
    assert point.before == pytest.approx(1.0, rel=0.01)
    assert point.after == pytest.approx(1 + size, rel=0.01)
    assert point.ratio == pytest.approx(1 + size, rel=0.015)
    assert point.direction == ("up" if size > 0 else "down")
    assert 0.9 < point.confidence <= 1


def test_several_steps_are_found_in_order():
    values = noisy([1.0] * 30 + [1.1] * 30 + [1.05] * 30 + [1.3] * 30)
    assert indices(values) == pytest.approx([30, 60, 90], abs=1)


def test_a_step_among_outliers_is_found_and_no_outlier_is():
    values = step(0.1, seed=3)
    values[[7, 22, 51, 66]] *= [1.5, 1.3, 1.4, 0.7]
    assert indices(values) == pytest.approx([40], abs=1)


def test_throttling_that_comes_and_goes_is_no_change():
    values = noisy([1.0] * 100, seed=5)
    for start, length in ((10, 3), (31, 5), (48, 2), (70, 4), (88, 3)):
        values[start : start + length] *= 1.15
    assert indices(values) == []


def test_a_step_of_a_throttled_machine_is_found():
    values = noisy([1.0] * 50 + [1.2] * 50, seed=6)
    for start, length in ((10, 3), (31, 4), (60, 2), (70, 4), (88, 3)):
        values[start : start + length] *= 1.12
    assert indices(values) == pytest.approx([50], abs=2)


def test_throttling_in_a_long_history_is_no_change():
    values = noisy([1.0] * 600, seed=5)
    for start in range(20, 600, 40):
        values[start : start + 4] *= 1.15
    assert indices(values) == []


def test_a_step_of_twice_the_noise_is_found_more_often_than_not():
    found = [indices(step(0.02, seed=seed)) for seed in range(20)]
    assert sum(any(abs(at - 40) <= 2 for at in each) for each in found) >= 15


def test_a_large_step_is_found_after_three_results_of_six():
    assert indices([1.0, 1.0, 1.0, 1.5, 1.5, 1.5]) == [3]


@pytest.mark.parametrize("total", [0.02, 0.04, -0.04])
def test_drift_is_not_reported_as_a_step(total):
    ramp = np.exp(total * np.linspace(0, 1, 150))
    assert [indices(noisy(ramp, seed)) for seed in range(8)] == [[]] * 8


def remembering(memory, length, rng):
    x = np.zeros(length)
    for i in range(1, length):
        x[i] = memory * x[i - 1] + rng.normal(0, NOISE)
    return x


@pytest.mark.parametrize("memory", [0.3, 0.6])
def test_noise_that_goes_on_from_result_to_result_seldom_is_a_step(memory):
    rng = np.random.default_rng(0)
    assert sum(len(indices(np.exp(remembering(memory, 100, rng)))) for _ in range(20)) <= 2


def test_a_step_of_ten_times_such_noise_is_found_in_it():
    rng = np.random.default_rng(1)
    for _ in range(5):
        values = np.exp(remembering(0.6, 100, rng)) * np.repeat([1.0, 1.1], 50)
        assert indices(values) == pytest.approx([50], abs=2)


def test_a_change_below_the_least_effect_is_not_reported():
    values = [1.0, 1.0001] * 20 + [1.02, 1.0201] * 20
    assert indices(values) == [40]
    assert indices(values, min_effect=0.05) == []


@pytest.mark.parametrize("length", [1, 2])
def test_one_or_two_results_at_the_end_are_not_yet_a_change(length):
    assert indices([*step(0, 60, 0), *[1.3] * length]) == []


@pytest.mark.parametrize("size", [0.3, -0.3])
def test_three_results_at_the_end_of_a_quiet_history_are(size):
    assert indices([*noisy([1.0] * 60), *noisy([1 + size] * 3)]) == [60]


def test_a_constant_series_has_no_change():
    assert find([0.25] * 500) == []


def test_one_outlier_is_no_change_wherever_it_is():
    for at in range(30):
        values = [1.0] * 30
        values[at] = 3.0
        assert find(values) == []


def test_a_step_without_any_noise_is_found_exactly():
    assert indices([100] * 20 + [104] * 20) == [20]
    assert indices([1e6] * 20 + [1e9] * 20) == [20]


def test_missing_results_keep_the_positions_of_the_others():
    whole = list(step(0.2))
    gaps = [value if i % 3 else (None if i % 2 else math.nan) for i, value in enumerate(whole)]
    assert gaps[39] is None
    assert gaps[40] is not None
    assert indices(gaps) == [40]


def test_a_series_of_nothing_but_gaps_has_no_change():
    assert find([None, math.nan] * 50) == []
    assert find([]) == []


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf])
def test_a_result_that_has_no_level_is_refused_by_its_position(bad):
    with pytest.raises(InputError, match="position 3"):
        find([1.0, 1.0, None, bad, 1.0])


@pytest.mark.parametrize("effect", [0.0, -0.1, 1.0, math.nan])
def test_a_least_effect_that_is_no_fraction_is_refused(effect):
    with pytest.raises(InputError, match="min_effect"):
        find([1.0] * 10, min_effect=effect)


def test_a_long_series_has_the_same_changes_as_its_parts():
    rng = np.random.default_rng(1)
    level = np.repeat(1 + 0.1 * (np.arange(20) % 2), 150)
    found = indices(level * np.exp(rng.normal(0, NOISE, len(level))))
    assert found == pytest.approx(list(range(150, 3000, 150)), abs=1)


results = st.one_of(
    st.none(), st.just(math.nan), st.floats(1e-12, 1e12, allow_nan=False), st.sampled_from([1.0])
)


@settings(max_examples=60, deadline=None)
@given(st.lists(results, max_size=60))
def test_any_series_has_changes_at_results_it_has(values):
    for point in find(values):
        value = values[point.index]
        assert value is not None
        assert not math.isnan(value)
        present = [v for v in values if v is not None and not math.isnan(v)]
        rank = sum(v is not None and not math.isnan(v) for v in values[: point.index])
        assert 3 <= rank <= len(present) - 3
        assert 0.5 < point.confidence <= 1
        assert abs(math.log(point.ratio)) >= math.log(1.01) * 0.999


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 1e6), st.integers(0, 1000))
def test_the_unit_of_the_results_does_not_matter(scale, seed):
    values = step(0.1, 30, 30, seed)
    plain, scaled = find(list(values)), find(list(values * scale))
    assert [p.index for p in scaled] == [p.index for p in plain]
    assert [p.ratio for p in scaled] == pytest.approx([p.ratio for p in plain], rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([0.1, 0.2, -0.1, -0.2]), st.integers(0, 1000))
def test_a_history_told_backwards_changes_at_the_same_places(size, seed):
    values = step(size, 30, 40, seed)
    mirrored = [len(values) - index for index in reversed(indices(values[::-1]))]
    assert len(mirrored) >= 1
    assert mirrored == pytest.approx(indices(values), abs=1)


def together(moves, machines=("host", "phone"), names=6, length=80):
    """Series of quiet noise; `moves` maps (machine, name, index) to the factor from there on."""
    series = {}
    for m, machine in enumerate(machines):
        for k in range(names):
            values = noisy([1.0] * length, seed=100 * m + k)
            for (which, name, index), factor in moves.items():
                if which == machine and name == k:
                    values[index:] *= factor
            series[SeriesKey(machine, f"s{k}")] = list(values)
    return series


def test_a_step_of_one_series_on_both_machines_is_the_commits():
    found = find_together(together({("host", 2, 40): 1.2, ("phone", 2, 40): 1.15}))
    assert [(c.key.machine, c.key.name, c.cause) for c in found] == [
        ("host", "s2", "commit"),
        ("phone", "s2", "commit"),
    ]
    assert all(isinstance(c.point, ChangePoint) for c in found)


def test_a_step_of_all_series_of_one_machine_is_the_machines():
    found = find_together(together({("phone", k, 40): 1.2 for k in range(6)}))
    assert {c.key.machine for c in found} == {"phone"}
    assert [c.cause for c in found] == ["machine"] * 6


def test_a_step_of_all_series_of_all_machines_is_the_commits():
    moves = {(m, k, 40): 1.2 for m in ("host", "phone") for k in range(6)}
    assert [c.cause for c in find_together(together(moves))] == ["commit"] * 12


def test_a_step_of_one_series_on_one_machine_is_the_commits():
    assert [c.cause for c in find_together(together({("phone", 2, 40): 1.2}))] == ["commit"]


def test_a_step_of_all_series_of_the_only_machine_is_unclear():
    moves = {("phone", k, 40): 1.2 for k in range(6)}
    assert {c.cause for c in find_together(together(moves, machines=("phone",)))} == {"unclear"}


def test_a_machine_without_results_near_the_step_acquits_nobody():
    series = together({("phone", k, 40): 1.2 for k in range(6)})
    for key in series:
        if key.machine == "host":
            series[key] = [None] * 45 + series[key][45:]
    assert {c.cause for c in find_together(series)} == {"unclear"}


def test_what_is_reported_together_is_reported_alone():
    series = together({("phone", k, 40): 1 + 0.01 * k for k in range(6)})
    for change in find_together(series):
        assert change.point in find(series[change.key])


def test_a_stricter_false_discovery_rate_keeps_the_more_confident_change_points():
    series = together({("phone", k, 40): 1.012 + 0.004 * k for k in range(6)})
    loose = [c.point for c in find_together(series, false_discovery_rate=0.3)]
    strict = [c.point for c in find_together(series, false_discovery_rate=0.001)]
    assert 0 < len(strict) < len(loose)
    assert {p.confidence for p in strict} < {p.confidence for p in loose}
    assert sum(1 - p.confidence for p in strict) <= 0.001 * len(strict)


def test_the_sure_changes_of_a_machine_make_no_room_for_a_doubtful_one_of_a_commit():
    doubtful = SeriesKey("host", "s7")
    values = list(step(0.02, seed=15))
    series = together({("phone", k, 60): 1.2 for k in range(7)}, names=7) | {doubtful: values}
    (point,) = find(values)
    assert 0.6 < point.confidence < 0.9
    found = find_together(series, false_discovery_rate=0.05)
    assert [c.cause for c in found] == ["machine"] * 7
    loose = find_together(series, false_discovery_rate=0.4)
    assert [c.point for c in loose if c.key == doubtful] == [point]


def test_series_of_different_lengths_are_refused():
    series = {SeriesKey("a", "x"): [1.0] * 5, SeriesKey("a", "y"): [1.0] * 6}
    with pytest.raises(InputError, match="5 and of 6"):
        find_together(series)


def test_a_bad_result_among_many_series_is_named():
    series = {SeriesKey("a", "x"): [1.0] * 5, SeriesKey("b", "y"): [1.0, -1.0, 1.0, 1.0, 1.0]}
    with pytest.raises(InputError, match=r"y on b: .*position 1"):
        find_together(series)


def test_no_series_have_no_changes():
    assert find_together({}) == []


def test_the_module_needs_no_torch():
    code = f"import sys, {changes.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
