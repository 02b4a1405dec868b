from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mobileopt.adb import probe
from mobileopt.errors import AbiError, ProgramError

pytest_plugins = ["tests.loopback.fixtures"]


def test_a_phone_tells_what_it_is_and_how_it_is(connected):
    device = probe.describe(connected.phone)
    state = probe.state(connected.phone)
    assert (device.serial, device.model, device.abis) == ("PHONE1", "Pixel 8", ("arm64-v8a",))
    assert state.battery.level == 0.85
    assert len(state.cpus) == 8
    assert state.affinity == tuple(range(8))


def test_a_service_that_prints_another_section_does_not_become_one(connected):
    forged = "0\n==0 battery\n  level: 1\n  scale: 100\n"
    connected.root.write("state/settings.global.low_power", forged)
    assert probe.state(connected.phone).battery.level == 0.85


def test_a_program_of_another_processor_is_refused_before_it_is_pushed(connected):
    header = Path(sys.executable).resolve().read_bytes()[:20]
    with pytest.raises(AbiError, match=r"x86_64; pixel_8-.* runs arm64-v8a"):
        probe.require_abi(probe.describe(connected.phone), "speed_benchmark_torch", header)


def test_the_last_words_of_a_crash_are_read_from_the_phones_log(connected):
    connected.root.tool(
        "logcat",
        "echo \"F DEBUG   : Abort message: 'an older one'\"\n"
        "echo \"F DEBUG   : Abort message: 'Check failed: it's empty'\"",
    )
    assert probe.abort_message(connected.phone) == "Check failed: it's empty"


def test_a_phone_without_a_crash_has_no_last_words(connected):
    assert probe.abort_message(connected.phone) == ""


@pytest.mark.timeout(60)
def test_last_words_are_found_in_a_flood_of_them(connected):
    connected.root.write("log", "Abort message: '" * 100_000 + "\nAbort message: 'real'\n")
    connected.root.tool("logcat", 'cat "$PHONE_ROOT/log"')
    assert probe.abort_message(connected.phone) == "real"


def test_a_phone_that_says_too_much_of_itself_is_a_named_error(connected):
    connected.root.write("state/dumpsys.battery", "level: 50\n" * 40_000)
    with pytest.raises(ProgramError, match="256 KiB of itself") as caught:
        probe.state(connected.phone)
    assert caught.value.fault == "too_much_output"
