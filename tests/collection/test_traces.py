from __future__ import annotations

import threading

import pytest

from mobileopt.adb import performance
from mobileopt.adb.claim import CLAIM
from mobileopt.collection import traces
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]

LEFT = {
    "a claim": CLAIM,
    "the mode": performance.MARK,
    "a program": traces.RUNNING,
    "a model": f"{traces.MODELS}/0123.pt",
    "half a program": f"{traces.PROGRAMS}/0123/speed_benchmark_torch.part",
}


def test_a_phone_with_nothing_but_programs_has_no_traces(connected):
    assert not traces.found(connected.phone)
    connected.root.write(f"{traces.PROGRAMS}/0123/speed_benchmark_torch", "")
    assert not traces.found(connected.phone)


@pytest.mark.parametrize("path", LEFT.values(), ids=LEFT)
def test_whatever_a_killed_run_left_is_found(connected, path):
    connected.root.write(path, "gone 1 1")
    assert traces.found(connected.phone)


def test_all_but_the_claim_and_the_programs_is_cleared(connected):
    connected.root.write(f"{traces.PROGRAMS}/0123/speed_benchmark_torch", "")
    connected.root.write("state/fixed_performance", "true\n")
    for path in LEFT.values():
        connected.root.write(path, "gone 1 1")
    traces.leave(connected.phone)
    assert lab.leftovers(connected.root) == ["mobileopt/owner"]
    assert connected.root.path(f"{traces.PROGRAMS}/0123/speed_benchmark_torch").exists()


def test_leaving_a_phone_that_is_gone_is_no_error(connected):
    connected.adbd.power_off()
    traces.leave(connected.phone)


def test_an_interrupt_does_not_cut_what_leaves_a_phone(connected):
    connected.root.write(f"{traces.MODELS}/0123.pt", "")
    with connected.phone.finishing():
        other = threading.Thread(target=connected.phone.interrupt)
        other.start()
        other.join()
        traces.leave(connected.phone)
    assert lab.leftovers(connected.root) == []


def test_a_mode_whose_ending_failed_is_ended_on_leaving(connected):
    real = connected.root.read("system/bin/cmd").partition("\n")[2]
    connected.root.tool("cmd", f'[ "$3" = false ] && exit 20\n{real}')
    with performance.fixed(connected.phone) as held:
        assert held
    assert lab.leftovers(connected.root) == ["mobileopt/fixed-performance", "fixed performance"]
    connected.root.tool("cmd", real)
    traces.leave(connected.phone)
    assert lab.leftovers(connected.root) == []
