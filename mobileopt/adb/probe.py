"""Reading what a phone is and how it is: one constant script each, one round trip.

The scripts use only what an unrooted shell may read, and neither awk, sed nor cut. Sections
are told apart by a token made for each call, which no file and no service can know.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from mobileopt.adb.phone import Phone
from mobileopt.device import Device, State
from mobileopt.errors import AbiError, PermanentDeviceError, ProgramError
from mobileopt.phone_texts import (
    abi_of,
    parse_device,
    parse_files,
    parse_properties,
    parse_state,
    shown,
)

_DESCRIBE = """
echo "$1 properties"; getprop
echo "$1 files"; grep -sH "" /sys/devices/system/cpu/cpu[0-9]*/cpu_capacity
grep -sH "CPU part" /proc/cpuinfo; grep -sH MemTotal /proc/meminfo
echo "$1 end"
"""

_HEAT = """
echo "$1 thermal"; dumpsys thermalservice
echo "$1 battery"; dumpsys battery
"""

_SERVICES = f"""{_HEAT}
echo "$1 power"; dumpsys power | grep -m 1 mWakefulness=
echo "$1 low_power"; settings get global low_power
"""

_FILES = """
echo "$1 files"
grep -sH "" /proc/loadavg /proc/uptime /proc/self/cpuset
grep -sH Cpus_allowed_list /proc/self/status; grep -sH MemAvailable /proc/meminfo
grep -sH "" /sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
  grep -sH "" $cpu/cpufreq/scaling_governor $cpu/cpufreq/scaling_cur_freq \
    $cpu/cpufreq/scaling_min_freq $cpu/cpufreq/scaling_max_freq \
    $cpu/cpufreq/cpuinfo_max_freq $cpu/cpufreq/related_cpus $cpu/cpufreq/stats/time_in_state
done
"""

_SAID = 256 << 10
"""Characters a phone may say of itself; real ones need a third."""

_END = '\necho "$1 end"\n'


def describe(phone: Phone, deadline: float = 10.0) -> Device:
    """What the phone is.

    Raises PermanentDeviceError when it has no hardware serial, without which its results could
    not be told from another's, and what `Phone.shell` raises.
    """
    sections = _sections(phone, _DESCRIBE, deadline)
    files = parse_files(sections.get("files", ""))
    device = parse_device(parse_properties(sections.get("properties", "")), files)
    if not device.serial:
        raise PermanentDeviceError(f"{phone} does not tell its hardware serial (ro.serialno)")
    return device


def boot(phone: Phone) -> str:
    """An identifier of the phone's present boot, or nothing where it may not be read."""
    return phone.shell(["cat", "/proc/sys/kernel/random/boot_id"], 10).stdout.strip()


def state(phone: Phone, *, closing: bool = False, deadline: float | None = None) -> State:
    """How the phone is doing now.

    The clocks are read last before a run and, with `closing`, first after one, so that asking
    the slow services does not count as part of the run.
    """
    script = _FILES + _SERVICES if closing else _SERVICES + _FILES
    return parse_state(_sections(phone, script + _END, deadline))


def heat(phone: Phone) -> State:
    """Only the thermal status, the temperatures and the battery; a third of what `state` costs."""
    return parse_state(_sections(phone, _HEAT + _END, None))


def require_abi(device: Device, program: str, header: bytes) -> None:
    """Check a program's first bytes against what the device runs.

    Raises AbiError when it was built for another processor; a script has no ABI and passes.
    """
    abi = abi_of(header)
    if abi and abi not in device.abis:
        raise AbiError(
            f"{program!r} is built for {abi}; {device.name} runs {', '.join(device.abis)}"
        )


def pinned(argv: Sequence[str], cores: Sequence[int]) -> list[str]:
    """A command kept on some cores; without any, the command as it is.

    >>> pinned(["prog"], [4, 5, 6, 7])
    ['taskset', 'f0', 'prog']
    """
    mask = sum(1 << core for core in set(cores))
    return ["taskset", f"{mask:x}", *argv] if cores else list(argv)


def abort_message(phone: Phone) -> str:
    """The newest abort message in the phone's crash log, or nothing.

    A program's own last words go there and not to the terminal when Android's libc wrote them.
    """
    log = phone.shell(["logcat", "-d", "-b", "crash", "-t", "200"], 10)
    for line in reversed(log.stdout[-_SAID:].splitlines()):
        _, words, rest = line.strip().partition("Abort message: '")
        if words and rest.endswith("'"):
            return shown(rest[:-1])
    return ""


def _sections(phone: Phone, script: str, deadline: float | None) -> dict[str, str]:
    token = f"=={secrets.token_hex(8)}"
    result = phone.script(script, token, deadline=deadline)
    if len(result.stdout) > _SAID:
        raise ProgramError(
            "too_much_output", f"{phone} says more than {_SAID >> 10} KiB of itself; no phone does"
        )
    sections: dict[str, str] = {}
    for part in result.stdout.split(f"{token} ")[1:]:
        name, _, body = part.partition("\n")
        sections[name.strip()] = body
    if "end" not in sections:
        raise ProgramError(
            "command_failed", f"{phone} did not finish describing itself: {result.stderr[:200]!r}"
        )
    return sections
