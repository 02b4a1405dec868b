from __future__ import annotations

from dataclasses import replace

import pytest

from mobileopt.adb import fleet
from mobileopt.collection import Order
from mobileopt.collection.session import fastest
from mobileopt.device import Device, State
from mobileopt.store import Store
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]

FIRST, SECOND = map(str, lab.VARIANTS[:2])


@pytest.fixture
def order(tmp_path) -> Order:
    return lab.order(tmp_path, lab.VARIANTS[:2])


def contexts(order: Order) -> dict[str, dict]:
    """The newest record of each variant."""
    found = {}
    for each in Store(order.store).runs():
        model, recipe = (word.strip("'") for word in each["combination"])
        found[f"{model}/{recipe}"] = each["context"]
    return found


def prepare(order: Order, server, connected, text: str, size: str = "all") -> None:
    """Put the program on the phone by a first collection, and tell it what to do in the next."""
    lab.collect(order, server)
    lab.knobs(connected.root, text, size)


def launches(connected) -> list[str]:
    (told,) = (connected.root.folder / "data/local/tmp/mobileopt/bin").glob("*/*.d/launches")
    return told.read_text().splitlines()


def test_variants_take_turns_in_rounds(order, server, connected):
    order = replace(order, redo=True, budget=lab.Budget(rounds=4))
    prepare(order, server, connected, "counted=yes")
    lab.collect(order, server)
    models = [line.partition(" ")[0] for line in launches(connected)][2:]
    rounds = [models[start : start + 2] for start in range(0, len(models), 2)]
    assert len(rounds) == 4
    assert all(len(set(each)) == 2 for each in rounds)


def test_threads_allocator_layout_and_cores_are_said_in_every_launch(order, server, connected):
    order = replace(order, redo=True)
    prepare(order, server, connected, "counted=yes")
    pinned = connected.root.read("system/bin/taskset").partition("\n")[2]
    connected.root.tool("taskset", f'echo "$1" >> "$PHONE_ROOT/state/cores"\n{pinned}')
    lab.collect(order, server)
    for line in launches(connected):
        for flag in ("pthreadpool_size=1", "use_caching_allocator=false", "contiguous_format"):
            assert flag in line
    assert set(connected.root.read("state/cores").split()) == {"f0"}
    plan = contexts(order)[FIRST]["plan"]
    assert plan["cores"] == [4, 5, 6, 7]
    assert plan["memory_formats"] == ["contiguous_format"]
    assert contexts(order)[FIRST]["affinity"] == [4, 5, 6, 7]
    assert list(contexts(order)[FIRST]["residency"]) == ["4"]


def test_warm_up_grows_until_the_leading_iterations_are_as_fast_as_the_rest(
    order, server, connected
):
    order = replace(order, redo=True, deadline=600, budget=lab.Budget(rounds=2))
    prepare(order, server, connected, "needs=5", "1000")
    lab.collect(order, server)
    told = contexts(order)
    assert told[FIRST]["plan"]["warmup"] == 8
    assert told[SECOND]["plan"]["warmup"] == 1
    assert lab.values(order)[(lab_name(server), FIRST)] < 0.0011


def test_times_that_never_settle_make_a_result_suspect(order, server, connected):
    order = replace(order, redo=True, budget=lab.Budget(rounds=1, warmup=4))
    prepare(order, server, connected, "needs=1000")
    (first, _) = lab.collect(order, server)
    assert first.validity == "suspect"
    assert "had not settled after 4 iterations" in first.reason
    assert "the first iterations of 1 of 1 launches were slower" in first.reason


def test_a_hot_phone_is_waited_for_and_then_measured(order, server, connected):
    connected.root.thermal(status=1)
    sentences: list[str] = []

    def watch(event) -> None:
        sentences.append(event.sentence)
        if "waits" in event.sentence:
            connected.root.thermal(status=0)

    outcomes = lab.collect(order, server, watch)
    assert {each.status for each in outcomes} == {"stored"}
    assert any("its thermal status is 1" in each for each in sentences)


def test_a_phone_that_stays_hot_is_not_measured(order, server, connected):
    connected.root.thermal(status=3)
    outcomes = lab.collect(order, server)
    assert {each.error for each in outcomes} == {"NotReadyError"}
    assert "its thermal status is 3" in outcomes[0].reason


def test_a_session_that_throttled_is_done_once_more(order, server, connected):
    starts: list[str] = []

    def watch(event) -> None:
        if event.sentence.startswith(f"{FIRST}: warm-up"):
            starts.append(event.sentence)
            for cluster in (0, 4):  # the first session at a tenth of the clock, the next at all
                connected.root.clock(cluster, 402_000 if len(starts) == 1 else 10_000_000)

    lab.collect(order, server, watch)
    assert len(starts) == 2


def test_what_throttled_twice_is_recorded_and_is_no_result(order, server, connected):
    for cluster in (0, 4):
        connected.root.clock(cluster, 402_000)
    outcomes = lab.collect(order, server)
    assert {each.status for each in outcomes} == {"failed"}
    assert "of its fixed clock" in outcomes[0].reason
    assert not lab.values(order)
    assert len(contexts(order)[FIRST]["samples"]) == 8


def test_a_session_ends_when_it_has_warmed_the_phone(order, server, connected):
    prepare(order, server, connected, "jitter=yes")
    order = replace(order, redo=True, budget=lab.Budget(rounds=24, precision=1e-9))

    def watch(event) -> None:
        if event.sentence.startswith("round 2 "):
            connected.root.battery(celsius=34)

    outcomes = lab.collect(order, server, watch)
    assert contexts(order)[FIRST]["ended"] == "its battery warmed from 28.7 to 34.0 C"
    assert contexts(order)[FIRST]["rounds"] == [4, 4]
    assert outcomes[0].validity == "suspect"


def test_the_reference_runs_before_and_after_and_tells_a_drift(order, server, connected):
    order = replace(order, references=(lab.VARIANTS[0],), redo=True)
    lab.collect(order, server)
    before, after = contexts(order)[FIRST]["reference"]
    assert len(before) == len(after) == 499  # half a second, of 1.001 milliseconds each

    def watch(event) -> None:
        if event.sentence.startswith("round 1 "):
            lab.knobs(connected.root, "micros=1300")

    outcomes = lab.collect(order, server, watch)
    assert "the reference took +30%" in outcomes[0].reason


def test_what_a_phone_cannot_run_is_skipped_with_its_reason(order, server, connected):
    lab.forge(order, lab.VARIANTS[1], 1001, engine="x86")
    first, second = lab.collect(order, server)
    assert (first.variant, first.status) == (SECOND, "skipped")
    assert "phones have qnnpack's" in first.reason
    assert (second.variant, second.status) == (FIRST, "stored")


def test_the_serial_of_a_phone_is_not_published(order, server, connected):
    lab.collect(order, server)
    for path in order.store.rglob("*"):
        if path.is_file():
            assert "PHONE1" not in path.read_text()


def test_only_the_fastest_cores_the_shell_may_use_are_pinned():
    device = Device("S", capacities={0: 180, 1: 180, 2: 1024, 3: 1024})
    assert fastest(device, State(affinity=(0, 1, 2))) == (2,)
    assert fastest(device, State(affinity=(0, 1))) == ()
    assert fastest(device, State()) == (2, 3)
    assert fastest(Device("S", capacities={0: 1024, 1: 1024}), State(affinity=(0, 1))) == ()


def lab_name(server) -> str:
    (found,) = fleet.find(server)
    assert found.device
    return found.device.name
