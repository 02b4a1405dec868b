from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt import phone_texts as texts
from mobileopt.device import Battery, State
from tests.loopback.root import BATTERY, THERMAL

PROPERTIES = """[ro.product.manufacturer]: [Xiaomi]
[ro.product.model]: [Redmi Note 8]
[ro.serialno]: [6b1f00d5]
[ro.build.type]: [user]
[ro.build.version.release]: [11]
[ro.build.version.sdk]: [30]
[ro.board.platform]: [trinket]
[ro.product.cpu.abilist]: [arm64-v8a,armeabi-v7a,armeabi]
[empty]: []
"""
CPU = "/sys/devices/system/cpu/cpu0"
FILES = f"""{CPU}/cpu_capacity:180
{CPU}/cpufreq/scaling_governor:schedutil
{CPU}/cpufreq/scaling_cur_freq:820000
{CPU}/cpufreq/scaling_min_freq:300000
{CPU}/cpufreq/scaling_max_freq:1400000
{CPU}/cpufreq/cpuinfo_max_freq:1700000
{CPU}/cpufreq/related_cpus:0 1 2 3
{CPU}/cpufreq/stats/time_in_state:300000 12000
{CPU}/cpufreq/stats/time_in_state:1700000 250
/proc/loadavg:1.50 1.20 1.00 3/1400 999
/proc/uptime:1234.56 5678.00
/proc/meminfo:MemAvailable:    2048 kB
/proc/self/status:Cpus_allowed_list:\t0-3,6
/proc/self/cpuset:/foreground
"""
SECTIONS = {
    "files": FILES,
    "thermal": THERMAL.format(override="false", status=0, skin=31.5),
    "battery": BATTERY.format(level=85, temperature=287, plugged="true"),
    "power": "  mWakefulness=Awake\n",
    "low_power": "1\n",
}


def test_a_device_is_described_by_its_properties():
    device = texts.parse_device(texts.parse_properties(PROPERTIES), texts.parse_files(FILES))
    assert (device.serial, device.manufacturer, device.model) == (
        "6b1f00d5",
        "Xiaomi",
        "Redmi Note 8",
    )
    assert (device.soc, device.android, device.sdk) == ("trinket", "11", 30)
    assert device.abis == ("arm64-v8a", "armeabi-v7a", "armeabi")
    assert device.capacities == {0: 180}
    assert not device.emulator


@pytest.mark.parametrize("name", ["ro.kernel.qemu", "ro.boot.qemu"])
def test_an_emulator_says_so(name):
    assert texts.parse_device({name: "1"}, {}).emulator


def test_a_state_has_si_units():
    state = texts.parse_state(SECTIONS)
    (cpu,) = state.cpus
    assert (cpu.current, cpu.floor, cpu.limit, cpu.top) == (8.2e8, 3e8, 1.4e9, 1.7e9)
    assert cpu.residency == {3e8: 120.0, 1.7e9: 2.5}
    assert (cpu.cluster, cpu.governor) == (0, "schedutil")
    assert (state.load, state.uptime, state.memory) == (1.5, 1234.56, 2048 * 1024)
    assert state.affinity == (0, 1, 2, 3, 6)
    assert state.battery == Battery(0.85, 28.7, True)
    assert (state.screen_on, state.power_save) == (True, True)


def test_a_state_can_be_stored_as_json():
    stored = json.loads(json.dumps(texts.parse_state(SECTIONS).as_dict()))
    assert stored["battery"]["level"] == 0.85


def test_temperatures_are_the_current_ones_of_the_hardware_only():
    _, _, temperatures = texts.parse_thermal(SECTIONS["thermal"])
    # the cached 99.0, the readings 0.0 and -99.9, and a current in mA are no temperatures
    assert temperatures == {"VIRTUAL-SKIN": 31.5, "BIG": 38.0}


def test_an_overridden_thermal_status_is_told():
    text = THERMAL.format(override="true", status=0, skin=31.5)
    assert texts.parse_thermal(text)[1]


def test_an_old_phone_has_thermal_zones_in_whatever_unit():
    zone = "/sys/class/thermal/thermal_zone"
    text = (
        f"{zone}0/type:cpu\n{zone}0/temp:41000\n{zone}1/type:battery\n{zone}1/temp:312\n"
        f"{zone}2/type:skin\n{zone}2/temp:35\n{zone}3/type:off\n{zone}3/temp:-40000\n"
    )
    found = texts.parse_state({"files": text}).temperatures
    assert found == {"cpu": 41.0, "battery": 31.2, "skin": 35.0}


def test_a_phone_that_says_nothing_has_a_state_of_unknowns():
    state = texts.parse_state({})
    assert state == State()


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "", "x"])
def test_a_value_that_is_no_finite_number_is_unknown(value):
    battery = texts.parse_battery(f"level: {value}\nscale: 100\ntemperature: {value}\n")
    assert battery == Battery()


@pytest.mark.parametrize(("level", "scale"), [("50", "0"), ("-5", "100"), ("500", "100")])
def test_an_impossible_charge_is_unknown(level, scale):
    assert texts.parse_battery(f"level: {level}\nscale: {scale}\n").level is None


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0-3,7", (0, 1, 2, 3, 7)), ("0 1 2", (0, 1, 2)), ("", ()), ("x", ()), ("5-2", ())],
)
def test_a_list_of_cpus_is_read(text, cpus):
    assert texts.parse_cpu_list(text) == cpus


BIG = 250_000  # characters, about what a phone may say; a quadratic pattern takes minutes
FLOODS = (
    "[",
    "[a]: [",
    "[a]:\n",
    "\n",
    " ",
    "9",
    "Temperature{mValue=1, mType=3, mName=x, ",
    "Temperature{mValue=",
    "Temperature{mValue=1, mType=" + "9" * 5000 + ", mName=x, mStatus=0}\n",
    "a powered: ",
    "level: ",
    "/sys/devices/system/cpu/cpu0/",
    "/sys/devices/system/cpu/cpu0/cpufreq/related_cpus:" + "0-999 " * 300 + "\n",
    "/sys/class/thermal/thermal_zone0/temp:" + "9" * 5000 + "\n",
    "/proc/meminfo:MemAvailable: " + "9" * 5000 + " kB\n",
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_is_a_state_of_unknowns(flood):
    said = flood * (BIG // len(flood))
    told = texts.parse_state(dict.fromkeys(SECTIONS, f"Current temperatures from HAL:\n{said}!"))
    assert (told.load, told.memory, told.temperatures) == (None, None, {})
    assert texts.parse_properties(f"{said}!") == {}


@pytest.mark.timeout(60)
def test_a_list_of_cpus_is_bounded_whatever_it_says():
    assert texts.parse_cpu_list("0-999," * 100_000) == tuple(range(1000))
    assert texts.parse_cpu_list("99999999999") == ()


def test_a_property_is_read_from_its_own_line():
    assert texts.parse_properties("[a\n]: [b]\n[c]: [d]\n[e]: [\nf]\n") == {"c": "d"}


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["files", *SECTIONS]), st.text()))
def test_no_text_of_a_phone_ends_in_a_traceback(sections):
    texts.parse_state(sections)
    texts.parse_device(
        texts.parse_properties(sections.get("files", "")), texts.parse_files(str(sections))
    )


@settings(deadline=None)
@given(st.text(alphabet=st.characters(categories=["Cc", "L"])))
def test_what_is_shown_of_a_phone_cannot_steer_a_terminal(text):
    device = texts.parse_device(texts.parse_properties(f"[ro.product.model]: [{text}]"), {})
    assert device.model.isprintable()


def test_this_python_is_no_program_for_a_phone_of_another_kind():
    header = Path(sys.executable).resolve().read_bytes()[:20]
    assert texts.abi_of(header) in texts.ELF_ABIS.values()


@pytest.mark.parametrize("header", [b"", b"#!/bin/sh\n", b"\x7fELF", b"PK\x03\x04" * 10])
def test_what_is_no_binary_has_no_abi(header):
    assert texts.abi_of(header) is None


def test_an_unknown_machine_is_no_known_abi():
    assert (
        texts.abi_of(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x34\x12") == "ELF machine 4660"
    )
