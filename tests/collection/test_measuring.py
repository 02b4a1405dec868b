from __future__ import annotations

from dataclasses import replace

import pytest

from mobileopt.adb import Phone
from mobileopt.store import Store
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]


@pytest.fixture
def order(tmp_path):
    return lab.order(tmp_path, lab.VARIANTS[:1])


def slowed(connected, times: int, khz: int):
    """A watch under which the phone runs at another clock in its first sessions."""
    starts: list[str] = []

    def watch(event) -> None:
        if event.sentence.endswith(": warm-up"):
            starts.append(event.sentence)
            connected.root.clock(4, khz if len(starts) <= times else 2_914_000)

    return starts, watch


def test_a_session_that_ran_a_little_slow_is_done_once_more(order, server, connected):
    starts, watch = slowed(connected, 1, 2_400_000)
    (outcome,) = lab.collect(order, server, watch)
    assert len(starts) == 2
    assert (outcome.status, outcome.validity) == ("stored", "valid")


def test_a_suspect_result_is_kept_when_there_is_none_better(order, server, connected):
    starts, watch = slowed(connected, 2, 2_400_000)
    (outcome,) = lab.collect(order, server, watch)
    assert len(starts) == 2
    assert (outcome.status, outcome.validity) == ("stored", "suspect")


def test_a_suspect_result_does_not_replace_a_valid_one(order, server, connected):
    lab.collect(order, server)
    before = lab.values(order)
    lab.knobs(connected.root, "micros=2000")
    _, watch = slowed(connected, 2, 2_400_000)
    (outcome,) = lab.collect(replace(order, redo=True), server, watch)
    assert (outcome.status, outcome.validity) == ("present", "suspect")
    assert lab.values(order) == before
    beside = list(Store(order.store).runs())[-1]
    assert beside["reason"].startswith("suspect: it ran at 82% of its fixed clock")
    assert len(beside["context"]["samples"]) == 8


def test_a_suspect_result_gives_way_to_a_newer_suspect_one(order, server, connected):
    for micros in (1000, 2000):
        _, watch = slowed(connected, 2, 2_400_000)
        lab.knobs(connected.root, f"micros={micros}")
        (outcome,) = lab.collect(replace(order, redo=True), server, watch)
        assert outcome.status == "stored"
    (value,) = lab.values(order).values()
    assert value == pytest.approx(0.002, rel=0.01)


def test_the_clock_between_launches_does_not_count(order, server, connected):
    lab.collect(order, server)
    connected.root.clock(4, 402_000)
    lab.knobs(connected.root, "khz=2914000")
    (outcome,) = lab.collect(replace(order, redo=True), server)
    assert (outcome.status, outcome.validity) == ("stored", "valid")
    context = list(Store(order.store).runs())[-1]["context"]
    assert context["residency"] == {"4": {"402000000": 0.0, "1600000000": 0.0, "2914000000": 0.2}}


def test_round_trips_of_a_session_are_few_and_the_overhead_is_told(
    order, server, connected, monkeypatch
):
    trips: list[str] = []
    told: list[str] = []
    talk = Phone.talk

    def counted(self, what, *rest):
        trips.append(what)
        return talk(self, what, *rest)

    lab.collect(order, server)
    monkeypatch.setattr(Phone, "talk", counted)
    counts = []
    for rounds in (2, 6):
        trips.clear()
        budget = lab.Budget(rounds=rounds, precision=1e-9)
        lab.collect(
            replace(order, redo=True, budget=budget),
            server,
            lambda event: told.append(event.sentence),
        )
        counts.append(len(trips))
    # Each round more is a launch and a look at the heat, and nothing else.
    assert counts[1] - counts[0] == 4 * 2
    assert any("s a launch of 7" in each for each in told)


def test_what_was_measured_on_another_phone_by_the_end_is_not_stored(order, server, connected):
    def watch(event) -> None:
        if event.sentence.startswith("round 2 "):  # the address changes hands, and nothing breaks
            connected.root.set_properties(**{"ro.serialno": "ANOTHER"})

    (outcome,) = lab.collect(order, server, watch)
    assert (outcome.status, outcome.error) == ("failed", "AccessError")
    assert "is another phone now" in outcome.reason
    assert not lab.values(order)
