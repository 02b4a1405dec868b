from __future__ import annotations

from dataclasses import replace

import pytest

from mobileopt.store import Store
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]

FIRST = str(lab.VARIANTS[0])


@pytest.fixture
def order(tmp_path, server, connected):
    """An order for one variant, whose program is on the phone."""
    made = lab.order(tmp_path, lab.VARIANTS[:1])
    lab.collect(made, server)
    fresh = replace(made, store=tmp_path / "fresh")
    return replace(fresh, budget=lab.Budget(rounds=2))


def newest(order) -> dict:
    return [each["context"] for each in Store(order.store).runs()][-1]


def test_a_longer_warm_up_that_takes_too_long_costs_a_doubt_and_not_the_variant(
    order, server, connected
):
    # It needs more than it gets, and from eight warm-ups on it hangs.
    lab.knobs(connected.root, "needs=1000; [ $warmup -ge 8 ] && fault=slow")
    (outcome,) = lab.collect(replace(order, deadline=4), server)
    assert (outcome.status, outcome.validity) == ("stored", "suspect")
    assert "had not settled after 4 iterations, and 8 took too long" in outcome.reason
    assert newest(order)["plan"]["warmup"] == 4


def test_a_program_that_hangs_at_first_is_a_failure(order, server, connected):
    lab.knobs(connected.root, "fault=slow")
    (outcome,) = lab.collect(replace(order, deadline=1), server)
    assert outcome.error == "ProgramError.timed_out"


def test_warm_up_that_there_is_no_time_for_is_not_tried(order, server, connected):
    lab.knobs(connected.root, "needs=1000")
    (outcome,) = lab.collect(replace(order, budget=lab.Budget(rounds=2, seconds=1e-3)), server)
    assert "had not settled after 1 iterations" in outcome.reason
    assert newest(order)["plan"]["warmup"] == 1


def test_a_phone_that_warms_up_in_warm_up_is_waited_for(order, server, connected):
    told: list[str] = []

    def watch(event) -> None:
        told.append(event.sentence)
        if event.sentence == f"{FIRST}: warm-up":
            connected.root.thermal(status=1)
        if event.sentence.startswith("waits"):
            connected.root.thermal(status=0)

    (outcome,) = lab.collect(order, server, watch)
    assert any(each.startswith("waits") for each in told)
    assert (outcome.status, outcome.validity) == ("stored", "valid")


@pytest.mark.parametrize(
    ("moment", "when"), [("warm-up", "after"), ("mlp: exp", "before and after")]
)
def test_a_reference_that_does_not_run_is_a_doubt(order, server, connected, moment, when):
    reference = lab.VARIANTS[2]
    lab.forge(order, reference, 1002)

    def watch(event) -> None:
        if moment in event.sentence:
            lab.knobs(connected.root, "fault=truncated", "1002")

    (outcome,) = lab.collect(replace(order, references=(reference,)), server, watch)
    assert outcome.validity == "suspect"
    assert f"the reference did not run {when} the rounds" in outcome.reason
    assert newest(order)["reference"] is None


def test_one_launch_of_many_that_did_not_settle_is_no_doubt(order, server, connected):
    def watch(event) -> None:
        if event.sentence.startswith("round"):
            cold = "needs=1000" if event.sentence.startswith("round 1 ") else ""
            lab.knobs(connected.root, cold)

    (outcome,) = lab.collect(replace(order, budget=lab.Budget(rounds=4)), server, watch)
    assert (outcome.status, outcome.validity) == ("stored", "valid")
