import io
import json
from dataclasses import replace

import pytest
from rich.console import Console
from tuning.races import Machine, candidate, name

from mobileopt.report import tuning as report
from mobileopt.report.tuning import Tuning
from mobileopt.tuning.candidates import Limits
from mobileopt.tuning.evidence import Batch, Heat
from mobileopt.tuning.race import Race, Rules

LATENCIES = {"a": 0.03, "b": 0.01, "c": 0.01, "d": 0.011}


def tuning(race, **fields):
    return Tuning("resnet18", Limits(), race.rules, race.candidates, {}, {}, 30.0, 60.0,
                  race.result(), **fields)  # fmt: skip


@pytest.fixture
def found():
    race = Machine(LATENCIES).race()
    left_out = {candidate("y", 12.0): ("min_sqnr",)}
    return replace(tuning(race), left_out=left_out, refused={"x": "[red]no[/red] such"})


def text(found, **options):
    file = io.StringIO()
    report.show(found, Console(file=file, width=200, **options))
    return file.getvalue()


def test_the_table_says_what_became_of_each_and_from_what_evidence(found):
    lines = text(found).splitlines()
    dropped = next(line for line in lines if name("a") in line)
    assert "dropped after launch 1: 3.0 times as slow as" in dropped
    assert "100.0 dB" in dropped
    assert "10.0 MB" in dropped
    assert "% slower than" in next(line for line in lines if name("d") in line)


def test_the_best_comes_first_and_the_slowest_last(found):
    lines = [line for line in text(found).splitlines() if "-float-" in line and "│" in line]
    assert "best" in lines[0]
    assert name("a") in lines[-1]


def test_the_sentence_names_the_best_says_that_it_ties_and_what_it_cost(found):
    told = found.sentence
    assert told.startswith(f"Best here: resnet18/{name('b')} (10.0 MB, SQNR 100.0 dB)")
    assert "among 2 that tie within 3%" in told
    assert "s of measuring (60 s with the starting of processes) after 30 s of exporting" in told


def test_what_was_never_measured_is_told_with_its_reason(found):
    told = text(found)
    assert "not exported: x: [red]no[/red] such" in told
    assert "never measured: 1 variants, 1 below an SQNR of 20 dB" in told


def test_a_spent_budget_and_what_it_did_not_reach_are_told():
    machine = Machine(LATENCIES)
    race = Race(tuple(map(candidate, LATENCIES)), Rules(together=2))
    heat = machine.measure(race.ask())
    found = tuning(race.after(Heat(heat.reference, heat.batches[:1])).stop("budget"))
    assert "The budget was spent" in found.sentence
    assert text(found).count("never measured") == 2


def test_a_failed_candidate_is_told_with_its_reason():
    times = {name("a"): [(0.01,)] * 3}
    race = Race((candidate("a"), candidate("b")))
    race = race.after(Heat(name("a"), (Batch(times, times, {}),), {name("b"): "[killed]"}))
    assert "failed: [killed]" in text(tuning(race))


def test_a_warm_up_that_did_not_settle_is_marked():
    times = {name("a"): [(0.01,)] * 3}
    batch = Batch(times, times, {}, frozenset({name("a")}))
    race = Race((candidate("a"),)).after(Heat(name("a"), (batch,)))
    assert f"{name('a')} ~" in text(tuning(race))


def test_when_nothing_keeps_the_limits_the_closest_is_named():
    left_out = {candidate("a", 12.0): ("min_sqnr",), candidate("b", 8.0): ("min_sqnr",)}
    found = Tuning("resnet18", Limits(20, 5e7), Rules(), (), left_out, {}, 30.0)
    told = text(found).splitlines()[-1]
    assert told.startswith("No variant of resnet18 keeps an SQNR of 20 dB in 50.0 MB")
    assert f"{name('a')} comes closest (10.0 MB, SQNR 12.0 dB)" in told


def test_json_is_strict_and_holds_places_ratios_and_times(found):
    def refuse(constant):
        raise AssertionError(constant)

    document = json.loads(report.dump(found), parse_constant=refuse)
    first, last = document["variants"][0], document["variants"][-1]
    assert document["best"] == first["recipe"] == name("b")
    assert last["dropped"]["after_launch"] == 1
    assert last["ratio_to_best"]["estimate"] == pytest.approx(3, rel=0.05)
    assert document["measuring_seconds"] == found.result.seconds
    assert document["left_out"][0]["unmet"] == ["min_sqnr"]


def test_there_is_colour_on_a_terminal_only(found):
    assert "\x1b[" not in text(found)
    assert "\x1b[" in text(found, force_terminal=True)
