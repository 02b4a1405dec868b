import io
from dataclasses import replace

import pytest
from rich.console import Console
from test_verdicts import (
    BASE,
    FUSED,
    INT8,
    MOBILE,
    NHWC,
    artifact,
    judge,
    judged_under_conditions,
    one_round,
    record,
)

from mobileopt import verdicts
from mobileopt.report import terminal


@pytest.fixture
def found():
    latencies = {BASE: 0.03, MOBILE: 0.03, NHWC: 0.01, FUSED: 0.03, INT8: 0.02}
    return judge(latencies, {BASE: 0.0, INT8: 0.25}, refused={"x": "[red]no[/red] such"})


def text(found, **options):
    file = io.StringIO()
    terminal.show(found, Console(file=file, width=200, **options))
    return file.getvalue()


def test_the_table_shows_each_variant_with_speed_size_and_fidelity(found):
    lines = text(found).splitlines()
    row = next(line for line in lines if NHWC in line)
    assert all(part in row for part in ("10.0 ms", "3.0", "1.00 MB", "100.0 dB", "100%"))
    assert "exact" in next(line for line in lines if BASE in line)


def test_the_second_table_shows_what_one_step_does(found):
    lines = text(found).splitlines()
    assert any("nchw to nhwc" in line and "faster" in line for line in lines)
    assert any("unfused to fused" in line and "no difference larger than" in line for line in lines)


def test_the_report_ends_with_the_advice_and_what_a_host_is_not(found):
    lines = text(found).splitlines()
    assert lines[-2].startswith("Ship ")
    assert "no phone" in lines[-1]


def test_a_reason_is_printed_as_it_is_never_as_markup(found):
    assert "not measured: x: [red]no[/red] such" in text(found)


def test_there_is_colour_on_a_terminal_only(found):
    assert "\x1b[" not in text(found)
    assert "\x1b[" in text(found, force_terminal=True)


def test_memory_conditions_show_in_names_and_bring_their_counts():
    found = judged_under_conditions()
    lines = text(found).splitlines()
    assert any("page faults" in line and "allocations" in line for line in lines)
    row = next(line for line in lines if f"{NHWC} fresh-kept" in line)
    assert [cell.strip() for cell in row.split("│")[-3:-1]] == ["4", "7"]
    assert any("reused to fresh" in line for line in lines)


def test_without_memory_conditions_the_table_has_no_counts(found):
    assert "page faults" not in text(found)


def test_what_is_lacking_is_told_in_the_units_the_verdict_rests_on():
    unsure = judge({NHWC: 0.0200, MOBILE: 0.02035, BASE: 0.03})
    [step] = [each for each in unsure.steps if each.slot == "layout"]
    assert (step.comparison.verdict, step.comparison.unit) == ("unclear", "launches")
    assert f"needs about {step.comparison.more_rounds} more launches" in text(unsure)


def test_one_round_has_no_interval_and_says_so():
    lines = text(one_round()).splitlines()
    row = next(line for line in lines if NHWC in line)
    assert row.count("too few rounds") == 2


def test_a_session_stopped_early_and_a_warm_up_that_did_not_settle_are_told():
    times = replace(record({BASE: 0.03, NHWC: 0.01}, frozenset({NHWC})), interrupted=True)
    told = text(verdicts.judge([artifact(BASE), artifact(NHWC)], times, threshold=0.02))
    [row] = [line for line in told.splitlines() if "│" in line and NHWC in line]
    assert row.split("│")[2].strip() == "10.0 ms ~"
    assert "Stopped early: this is what was finished." in told
    assert "~ marks a latency whose warm-up had not settled." in told


def test_a_session_that_throttled_says_so_instead_of_a_verdict():
    times = record({BASE: 0.03, MOBILE: 0.03, NHWC: 0.01})
    hot = {
        name: [tuple(s * (1 + 0.015 * i) for s in each) for i, each in enumerate(rounds * 2)]
        for name, rounds in times.wall.items()
    }
    waited = {name: [tuple(4 * s for s in each) for each in hot[name]] for name in hot}
    times = replace(times, wall=hot, cpu=waited, launches=[i // 3 for i in range(48)])
    told = text(verdicts.judge([artifact(name) for name in hot], times, threshold=0.02))
    [step] = [line for line in told.splitlines() if "nchw to nhwc" in line]
    assert "cannot tell: broken: both sides slowed by" in step


def test_where_weights_and_int8_ranges_are_from_is_told_of_each_source_once():
    made = [artifact(BASE), *(replace(artifact(name), calibration="photos [v2]")
                              for name in (INT8, "unfused-int8_qnnpack-nhwc-lite"))]  # fmt: skip
    times = record({str(each.variant.recipe): 0.03 for each in made})
    told = text(verdicts.judge(made, times, threshold=0.02))
    assert "Weights seeded:0; fidelity on 16 of " in told
    assert "int8 ranges from photos [v2]" in told
    assert told.count("photos") == 1
