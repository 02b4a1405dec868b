import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuning.races import WORDS, Machine, candidate, name

from mobileopt.errors import InputError, MeasurementError
from mobileopt.tuning.evidence import Batch, Heat
from mobileopt.tuning.race import Race, Rules

CLEAR = {"a": 0.03, "b": 0.01, "c": 0.02, "d": 0.05, "e": 0.012}


def places(race):
    return {each.candidate.name: each.place for each in race.result().standings}


def test_the_fastest_of_clearly_different_candidates_is_left_alone():
    race = Machine(CLEAR).race()
    assert race.end == "one left"
    assert race.result().best.name == name("b")


def test_a_candidate_far_behind_is_dropped_after_its_first_launch():
    race = Machine(CLEAR).race()
    assert race.dropped[name("d")].launch == 1
    assert race.dropped[name("d")].against == name("b")


def test_a_candidate_less_behind_than_a_launch_scatters_is_not_dropped_for_one_launch():
    race = Machine({"a": 0.01, "b": 0.0103}, noise=1e-3).race(effort=1, threshold=0.02)
    assert race.dropped[name("b")].launch > 1


def test_what_is_not_shown_to_be_slower_is_dropped_for_being_in_the_slower_half():
    race = Machine({"a": 0.01, "b": 0.0101, "c": 0.0111, "d": 0.011}, noise=1e-3).race()
    assert {n: race.dropped[n].certain for n in (name("c"), name("d"))} == {
        name("c"): False,
        name("d"): False,
    }
    assert places(race)[name("c")] == "behind"


def test_at_most_half_are_halved_away_and_none_that_seems_as_fast():
    machine = Machine({word: 0.01 + 0.0001 * n for n, word in enumerate("abcdefgh")}, noise=1e-4)
    assert not machine.race(effort=1, threshold=0.1).dropped
    machine = Machine({word: 0.01 + 0.0006 * n for n, word in enumerate("abcd")}, noise=1e-4)
    race = Race(tuple(map(candidate, "abcd")))
    assert set(race.after(machine.measure(race.ask())).dropped) == {name("c"), name("d")}


def test_a_race_takes_no_more_than_its_share_of_an_exhaustive_search():
    latencies = dict.fromkeys(WORDS[:16], 0.01)
    race = Machine(latencies, noise=0.05).race()
    assert race.end == "effort"
    assert race.seconds < 0.3 * Machine(latencies).race(eliminate=False).seconds


def test_who_was_dropped_is_never_measured_again():
    machine = Machine(CLEAR)
    race = machine.race()
    for drop, ask in ((d, a) for d in race.dropped.items() for a in machine.asked):
        if ask.launch >= drop[1].launch:
            assert all(drop[0] not in batch for batch in ask.batches)


def test_candidates_that_do_not_differ_tie_before_the_last_launch():
    race = Machine(dict.fromkeys("abcd", 0.01)).race(launches=48, effort=1)
    assert race.end == "settled"
    assert len(race.heats) < 48
    assert set(places(race).values()) == {"best", "tied"}


def test_a_tie_takes_four_launches():
    race = Machine(dict.fromkeys("ab", 0.01), noise=1e-4).race(effort=1)
    assert len(race.heats) == 4


def test_the_exhaustive_search_measures_everything_to_the_end():
    machine = Machine(CLEAR)
    race = machine.race(eliminate=False, launches=6)
    assert [len({n for b in ask.batches for n in b}) for ask in machine.asked] == [5] * 6
    assert race.end == "launches"
    assert places(race)[name("d")] == "slower"


def test_the_exhaustive_search_costs_more_than_the_race():
    assert Machine(CLEAR).race().seconds < Machine(CLEAR).race(eliminate=False).seconds / 3


def test_batches_hold_as_many_as_may_live_together_and_all_hold_the_reference():
    machine = Machine(dict.fromkeys(WORDS[:20], 0.01))
    machine.race(together=6, launches=2)
    for ask in machine.asked:
        assert all(len(batch) <= 6 and batch[0] == ask.reference for batch in ask.batches)
        assert len({n for batch in ask.batches for n in batch}) == 20


def test_the_batches_are_drawn_anew_for_each_launch_and_repeat_with_the_seed():
    def asked(seed):
        machine = Machine(dict.fromkeys(WORDS[:20], 0.01), noise=0)
        machine.race(together=6, launches=3, seed=seed, effort=1)
        return [ask.batches for ask in machine.asked]

    assert asked(1) == asked(1)
    assert asked(1) != asked(2)
    assert len({frozenset(map(frozenset, batches)) for batches in asked(1)}) == 3


def test_after_the_first_launch_the_leader_is_the_reference():
    machine = Machine(CLEAR)
    machine.race(eliminate=False, launches=3)
    assert [ask.reference for ask in machine.asked] == [name("a"), name("b"), name("b")]


def test_a_machine_that_slows_all_the_while_changes_nothing():
    race = Machine({"a": 0.01, "b": 0.012, "c": 0.011}, drift=0.1).race()
    assert race.result().best.name == name("a")


def test_a_race_of_one_is_launched_once():
    race = Machine({"a": 0.01}).race()
    assert (race.end, len(race.heats)) == ("one left", 1)
    assert race.result().best.name == name("a")


def test_a_race_that_is_stopped_says_what_is_known():
    machine = Machine(CLEAR)
    race = Race(tuple(map(candidate, CLEAR)))
    race = race.after(machine.measure(race.ask())).stop("budget")
    assert race.ask() is None
    assert (race.result().end, race.result().best.name) == ("budget", name("b"))


def test_candidates_the_budget_did_not_reach_are_told_as_unmeasured():
    machine = Machine(CLEAR)
    race = Race(tuple(map(candidate, CLEAR)), Rules(together=2))
    heat = machine.measure(race.ask())
    race = race.after(Heat(heat.reference, heat.batches[:1])).stop("budget")
    assert sorted(places(race).values()).count("unmeasured") == 3


def test_a_candidate_whose_process_dies_leaves_the_race_with_its_reason():
    machine = Machine(CLEAR)
    race = Race(tuple(map(candidate, CLEAR)))
    heat = machine.measure(race.ask())
    batch = heat.batches[0]
    rest = {n: times for n, times in batch.wall.items() if n != name("b")}
    race = race.after(Heat(heat.reference, (Batch(rest, rest, {}),), {name("b"): "killed"}))
    assert name("b") not in race.running
    last = race.stop("budget").result().standings[-1]
    assert (last.candidate.name, last.place, last.reason) == (name("b"), "failed", "killed")


def test_a_race_in_which_nothing_was_measured_has_no_result():
    race = Race((candidate("a"),)).after(Heat(name("a"), (), {name("a"): "killed"}))
    assert race.ask() is None
    with pytest.raises(MeasurementError, match="killed"):
        race.result()


def test_a_budget_too_small_for_one_round_is_told():
    race = Race((candidate("a"),)).after(Heat(name("a"), ())).stop("budget")
    with pytest.raises(MeasurementError, match=r"no candidate finished a round.*budget"):
        race.result()


def test_a_race_needs_a_candidate():
    with pytest.raises(InputError, match="at least one"):
        Race(())


@pytest.mark.parametrize(
    "rules", [{"threshold": 0}, {"launches": 0}, {"together": 1}, {"effort": 0}]
)
def test_a_rule_that_makes_no_race_is_refused(rules):
    with pytest.raises(InputError, match=next(iter(rules))):
        Rules(**rules)


def test_the_looks_lie_further_and_further_apart_and_share_the_error_rate():
    rules = Rules(launches=20)
    assert rules.looks == (1, 2, 4, 8, 16, 20)
    assert sum(map(rules.share, rules.looks)) == pytest.approx(rules.alpha)


@given(
    st.lists(st.floats(0.01, 0.03), min_size=1, max_size=12),
    st.integers(0, 1000),
    st.integers(2, 6),
)
@settings(max_examples=25, deadline=None)
def test_whatever_is_measured_the_race_ends_with_every_candidate_in_one_place(
    latencies, seed, together
):
    machine = Machine(dict(zip(WORDS, latencies, strict=False)), noise=0.02, launch=0.01, seed=seed)
    race = machine.race(launches=8, together=together)
    result = race.result()
    assert len(race.heats) <= 8
    assert sorted(each.candidate.name for each in result.standings) == sorted(machine.latencies)
    assert [each.place for each in result.standings].count("best") == 1
    assert result.seconds == pytest.approx(sum(each.seconds for each in result.standings))


@pytest.mark.parametrize("machine", [{}, {"launch": 0.02}, {"burst": 0.1}, {"drift": 0.02}])
def test_the_choice_is_nearly_always_within_a_twentieth_of_the_fastest(machine):
    latencies = {word: 0.01 * (1 + 0.04 * n) for n, word in enumerate(WORDS[:8])}
    losses = []
    for seed in range(20):
        best = Machine(latencies, **machine, seed=seed).race().result().best.name
        losses.append(latencies[best[0]] / 0.01 - 1)
    assert sum(loss > 0.05 for loss in losses) <= 1
