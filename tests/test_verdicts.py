import random
from dataclasses import replace
from pathlib import Path

import pytest

from mobileopt import verdicts
from mobileopt.artifact import Artifact, Fidelity, Input
from mobileopt.conditions import HOST, Memory
from mobileopt.errors import MeasurementError
from mobileopt.measure import Record
from mobileopt.runners.host import Allocations
from mobileopt.variant import BASELINE, Recipe, Variant
from mobileopt.verdicts import Conditions

ROUNDS = 24


def artifact(recipe: str, noise: float = 1e-5) -> Artifact:
    return Artifact(
        variant=Variant("resnet18", Recipe.parse(recipe)),
        file="model.pt",
        sha256="0" * 64,
        size=1_000_000,
        inputs=(Input((1, 3, 224, 224), "float32", "contiguous_format"),),
        engine=None,
        weights="seeded:0",
        calibration=None,
        fidelity=Fidelity(noise, 1.0, noise, 16),
        left={},
        versions={},
        folder=Path("nowhere"),
    )


def record(latencies: dict[str, float], unsettled: frozenset[str] = frozenset()) -> Record:
    """A quiet session: one percent of noise around each latency in seconds."""
    noise = random.Random(0)
    times = {
        name: [tuple(level * noise.gauss(1, 0.01) for _ in range(5)) for _ in range(ROUNDS)]
        for name, level in latencies.items()
    }
    return Record(times, times, [index // 3 for index in range(ROUNDS)], unsettled)


def judge(latencies: dict[str, float], noises: dict[str, float] | None = None, **options):
    made = [artifact(name, (noises or {}).get(name, 1e-5)) for name in latencies]
    return verdicts.judge(made, record(latencies), threshold=0.02, **options)


BASE = str(BASELINE)
MOBILE, NHWC = "unfused-float-nchw-mobile", "unfused-float-nhwc-mobile"
FUSED = "fused-float-nchw-mobile"
INT8, PC = "unfused-int8_qnnpack-nhwc-mobile", "unfused-int8_x86-nhwc-mobile"


def test_a_row_has_the_latency_its_interval_and_the_ratio_to_the_baseline():
    found = judge({BASE: 0.03, NHWC: 0.01})
    row = found.rows[1]
    assert row.low < row.latency < row.high
    assert row.latency == pytest.approx(0.01, rel=0.02)
    assert row.against_baseline.verdict == "faster"
    assert row.against_baseline.ratio == pytest.approx(1 / 3, rel=0.02)
    assert found.rows[0].against_baseline is None


def test_a_step_is_two_variants_that_differ_in_one_word_all_else_equal():
    found = judge({BASE: 0.03, MOBILE: 0.03, NHWC: 0.01, FUSED: 0.03, INT8: 0.02})
    steps = {(str(step.before), str(step.after)): step for step in found.steps}
    assert set(steps) == {(MOBILE, NHWC), (MOBILE, FUSED), (NHWC, INT8)}
    assert steps[MOBILE, NHWC].comparison.verdict == "faster"
    assert steps[MOBILE, FUSED].comparison.verdict == "same"
    assert steps[NHWC, INT8].comparison.verdict == "slower"
    assert [step.slot for step in found.steps] == ["fusion", "precision", "layout"]


def test_the_fastest_variant_that_keeps_the_fidelity_is_advised():
    found = judge({BASE: 0.03, MOBILE: 0.02, NHWC: 0.01})
    assert found.advice.startswith(f"Ship {NHWC}: 3.0")


def test_a_faster_variant_below_the_floor_is_named_but_not_advised():
    found = judge({BASE: 0.03, NHWC: 0.02, INT8: 0.01}, {INT8: 0.25})
    assert found.advice.startswith(f"Ship {NHWC}")
    assert f"{INT8} is faster" in found.advice
    assert "below the floor of 20 dB" in found.advice


def test_a_variant_no_phone_can_load_is_never_advised():
    eager = "unfused-float-nhwc-eager"
    found = judge({BASE: 0.03, eager: 0.005, PC: 0.004, NHWC: 0.02})
    assert found.advice.startswith(f"Ship {NHWC}")
    assert PC not in found.advice


def test_nothing_faster_is_said_so():
    assert judge({BASE: 0.03, NHWC: 0.03}).advice.startswith("No variant that a phone can load")


def test_a_variant_whose_warm_up_did_not_settle_is_marked():
    made = [artifact(BASE), artifact(NHWC)]
    times = record({BASE: 0.03, NHWC: 0.01}, frozenset({NHWC}))
    found = verdicts.judge(made, times, threshold=0.02)
    assert [row.settled for row in found.rows] == [True, False]


def one_round():
    times = record({BASE: 0.03, NHWC: 0.01})
    wall = {name: rounds[:1] for name, rounds in times.wall.items()}
    short = replace(times, wall=wall, cpu=wall, launches=[0])
    return verdicts.judge([artifact(BASE), artifact(NHWC)], short, threshold=0.02)


def test_one_round_is_too_few_for_a_verdict_and_says_so():
    found = one_round()
    assert found.rows[1].against_baseline.verdict == "unclear"
    assert found.rows[1].high == float("inf")


def test_a_session_without_a_finished_round_cannot_be_judged():
    with pytest.raises(MeasurementError, match="before its first round"):
        verdicts.judge([artifact(BASE)], Record({}, {}), threshold=0.02)


def test_the_baseline_alone_is_a_row_without_steps():
    found = judge({BASE: 0.03})
    assert len(found.rows) == 1
    assert not found.steps


FRESH, DEFAULT = Memory("fresh", "kept"), Memory("reused", "default")


def judged_under_conditions():
    latencies = {
        BASE: 0.03, f"{BASE} fresh-kept": 0.03, f"{BASE} reused-default": 0.04,
        NHWC: 0.02, f"{NHWC} fresh-kept": 0.01, f"{NHWC} reused-default": 0.02,
    }  # fmt: skip
    times = record(latencies)
    faults = {name: [3.0, 5.0] for name in latencies}
    counted = {name: Allocations(7, 64) for name in latencies}
    return verdicts.judge(
        [artifact(BASE), artifact(NHWC)],
        replace(times, page_faults=faults),
        threshold=0.02,
        conditions=Conditions((HOST, FRESH, DEFAULT), counted),
    )


def test_a_variant_is_a_row_under_each_memory_condition_and_no_two_share_a_name():
    rows = judged_under_conditions().rows
    assert [row.name for row in rows[:3]] == [BASE, f"{BASE} fresh-kept", f"{BASE} reused-default"]
    assert len({row.name for row in rows}) == len(rows) == 6
    assert rows[4].latency == pytest.approx(0.01, rel=0.02)
    assert (rows[4].page_faults, rows[4].allocations.count) == (4.0, 7)


def test_a_memory_step_changes_one_of_its_two_words_and_nothing_of_the_recipe():
    steps = judged_under_conditions().steps
    assert [(step.slot, step.words, *step.names) for step in steps] == [
        ("input", ("reused", "fresh"), BASE, f"{BASE} fresh-kept"),
        ("allocator", ("kept", "default"), BASE, f"{BASE} reused-default"),
        ("input", ("reused", "fresh"), NHWC, f"{NHWC} fresh-kept"),
        ("allocator", ("kept", "default"), NHWC, f"{NHWC} reused-default"),
    ]
    verdicts_of = [step.comparison.verdict for step in steps]
    assert verdicts_of == ["same", "slower", "faster", "same"]


def test_only_a_hosts_usual_condition_is_advised():
    assert judged_under_conditions().advice.startswith(f"Ship {NHWC}: 1.5")
