"""What a phone prints of itself, as a device and its state.

Everything here is pure. What a phone prints is not trusted: a value that is missing, garbled
or not finite becomes None or is left out, and a name is only ever shown, never a path.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from mobileopt.device import Battery, Cpu, Device, State

CELSIUS_TYPES = frozenset((-1, *range(6), 9, 10, 11, 12, 13, 14, 15, 16, 17, 18))
"""Android's `TemperatureType`s that are temperatures; 6 to 8 are battery current limits."""

ELF_ABIS = {
    (2, 183): "arm64-v8a",
    (1, 40): "armeabi-v7a",
    (2, 62): "x86_64",
    (1, 3): "x86",
    (2, 243): "riscv64",
}
"""Class and machine of an ELF header to Android's name of the ABI."""

# Each is matched against one line, and every part is bounded: a pattern that is searched holds up
# all other threads, so no text of one phone may make it slow.
_PROPERTY = re.compile(r"\[([^]]{1,128})\]: \[(.*)\]")
_TEMPERATURE = re.compile(
    r"Temperature\{mValue=([^,]{1,32}), mType=(-?[0-9]{1,3}), mName=([^,]{0,128}), mStatus="
)
_POWERED = re.compile(r"\w{1,32} powered: (true|false)")
_CPU_FILE = re.compile(r"/sys/devices/system/cpu/cpu([0-9]{1,3})/(?:cpufreq/)?([\w/]{1,64})")
_CPU_RANGE = re.compile(r"\b([0-9]{1,3})(?:-([0-9]{1,3}))?\b")
_LINE = 4096
_CPU_LIST = 1024
_TICKS_PER_SECOND = 100
_SHOWN = 80


def parse_properties(text: str) -> dict[str, str]:
    """What `getprop` prints, by name."""
    found = (_PROPERTY.fullmatch(line) for line in _lines(text))
    return {each[1]: shown(each[2]) for each in found if each}


def parse_device(properties: Mapping[str, str], files: Mapping[str, list[str]]) -> Device:
    """A device from its properties and the files `parse_files` read."""
    get = properties.get
    soc = " ".join(filter(None, (get("ro.soc.manufacturer"), get("ro.soc.model"))))
    emulated = "1" in (get("ro.kernel.qemu"), get("ro.boot.qemu"))
    cores = dict(_cpu_files(files))
    capacities = {
        index: capacity
        for index, each in sorted(cores.items())
        if (capacity := _integer(each.get("cpu_capacity", ""))) is not None
    }
    parts = (line.partition(":")[2].strip() for line in files.get("/proc/cpuinfo", ()))
    return Device(
        serial=get("ro.serialno") or get("ro.boot.serialno") or "",
        manufacturer=get("ro.product.manufacturer") or get("ro.product.brand", ""),
        model=get("ro.product.model", ""),
        codename=get("ro.product.device", ""),
        soc=soc or get("ro.board.platform") or get("ro.hardware", ""),
        android=get("ro.build.version.release", ""),
        sdk=_integer(get("ro.build.version.sdk", "")),
        fingerprint=get("ro.build.fingerprint", ""),
        build_type=get("ro.build.type", ""),
        abis=tuple(filter(None, get("ro.product.cpu.abilist", "").split(","))),
        emulator=emulated,
        memory=_memory(files, "MemTotal"),
        capacities=capacities,
        parts=tuple(shown(part) for part in parts),
    )


def parse_files(text: str) -> dict[str, list[str]]:
    """What `grep -H "" FILES` prints: the lines of each file, by path."""
    files: dict[str, list[str]] = {}
    for line in _lines(text):
        path, colon, rest = line.partition(":")
        if colon and path.startswith("/"):
            files.setdefault(path, []).append(rest)
    return files


def parse_thermal(text: str) -> tuple[int | None, bool, dict[str, float]]:
    """Status, whether it is overridden, and the HAL's temperatures, of `dumpsys thermalservice`.

    Only the block `Current temperatures from HAL` is current; the cached one may be old.
    """
    status = _integer(_after(text, "Thermal Status:"))
    override = _after(text, "IsStatusOverride:").lower() == "true"
    block = text.partition("Current temperatures from HAL:")[2].partition("\nCurrent ")[0]
    temperatures: dict[str, float] = {}
    for found in filter(None, map(_TEMPERATURE.search, _lines(block))):
        value, kind, name = found.groups()
        celsius = _number(value)
        # 0.0 and -99.9 are what sensors without a reading report
        if int(kind) in CELSIUS_TYPES and celsius is not None and celsius not in (0.0, -99.9):
            temperatures[shown(name)] = celsius
    return status, override, temperatures


def parse_zones(files: Mapping[str, list[str]]) -> dict[str, float]:
    """Temperatures of `/sys/class/thermal`, whose unit differs from one kernel to the next."""
    temperatures: dict[str, float] = {}
    for path, lines in files.items():
        if path.startswith("/sys/class/thermal/") and path.endswith("/temp"):
            value = _number(lines[0])
            name = files.get(path.removesuffix("temp") + "type", [path])[0]
            if value is not None and value > 0:
                scale = 1000 if value >= 1000 else 10 if value >= 150 else 1
                temperatures[shown(name)] = value / scale
    return temperatures


def parse_battery(text: str) -> Battery:
    """What `dumpsys battery` prints, by key; its temperature is in tenths of a degree."""
    level, scale = _number(_after(text, "level:")), _number(_after(text, "scale:"))
    fraction = level / scale if level is not None and scale else None
    tenths = _number(_after(text, "temperature:"))
    told = (_POWERED.fullmatch(line.strip()) for line in _lines(text))
    powered = [each[1] for each in told if each]
    return Battery(
        level=fraction if fraction is not None and 0 <= fraction <= 1 else None,
        temperature=None if tenths is None else tenths / 10,
        plugged="true" in powered if powered else None,
    )


def parse_state(sections: Mapping[str, str]) -> State:
    """A state from the sections `thermal`, `battery`, `power`, `low_power` and `files`."""
    files = parse_files(sections.get("files", ""))
    status, override, temperatures = parse_thermal(sections.get("thermal", ""))
    low_power = sections.get("low_power", "").strip()
    wakefulness = _after(sections.get("power", ""), "mWakefulness=")
    affinity = _first(files, "/proc/self/status").partition("Cpus_allowed_list:")[2]
    return State(
        uptime=_number(_first(files, "/proc/uptime").partition(" ")[0]),
        thermal_status=status,
        thermal_override=override,
        temperatures=temperatures or parse_zones(files),
        battery=parse_battery(sections.get("battery", "")),
        cpus=tuple(_cpus(files)),
        affinity=parse_cpu_list(affinity),
        cpuset=shown(_first(files, "/proc/self/cpuset")),
        load=_number(_first(files, "/proc/loadavg").partition(" ")[0]),
        memory=_memory(files, "MemAvailable"),
        screen_on=wakefulness == "Awake" if wakefulness else None,
        power_save=low_power == "1" if low_power in ("0", "1") else None,
    )


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """The kernel's list of CPUs: `0-3,7` or `0 1 2 3` as numbers; garbage is no CPU.

    >>> parse_cpu_list("0-2,7")
    (0, 1, 2, 7)
    """
    mask = 0  # one step a range, however many cores it spans
    for first, last in _CPU_RANGE.findall(text[:_CPU_LIST]):
        if int(first) <= int(last or first):
            mask |= (2 << int(last or first)) - (1 << int(first))
    return tuple(core for core in range(mask.bit_length()) if mask >> core & 1)


def abi_of(header: bytes) -> str | None:
    """The Android ABI of an ELF file from its first 20 bytes; None for another kind of file.

    >>> abi_of(b"#!/bin/sh") is None
    True
    """
    if len(header) < 20 or header[:4] != b"\x7fELF":
        return None
    order = "big" if header[5] == 2 else "little"
    machine = int.from_bytes(header[18:20], order)
    return ELF_ABIS.get((header[4], machine), f"ELF machine {machine}")


def shown(text: str) -> str:
    """Text of a phone without control characters, and not endless."""
    return "".join(islice((each for each in text if each.isprintable()), _SHOWN))


def _cpus(files: Mapping[str, list[str]]) -> Iterator[Cpu]:
    for index, each in sorted(_cpu_files(files)):
        hertz = {name: _hertz(value) for name, value in each.items() if name.endswith("_freq")}
        shared = parse_cpu_list(each.get("related_cpus", ""))
        yield Cpu(
            index=index,
            cluster=min(shared, default=index),
            governor=shown(each.get("scaling_governor", "")),
            current=hertz.get("scaling_cur_freq"),
            floor=hertz.get("scaling_min_freq"),
            limit=hertz.get("scaling_max_freq"),
            top=hertz.get("cpuinfo_max_freq"),
            residency=_residency(each.get("stats/time_in_state", "").splitlines()),
        )


def _cpu_files(files: Mapping[str, list[str]]) -> Iterable[tuple[int, dict[str, str]]]:
    cores: dict[int, dict[str, str]] = {}
    for path, lines in files.items():
        found = _CPU_FILE.fullmatch(path)
        if found:
            cores.setdefault(int(found[1]), {})[found[2]] = "\n".join(lines)
    return cores.items()


def _residency(lines: Iterable[str]) -> dict[float, float]:
    seconds: dict[float, float] = {}
    for line in lines:
        khz, _, ticks = line.partition(" ")
        hertz, spent = _hertz(khz), _number(ticks)
        if hertz and spent is not None and spent >= 0:
            seconds[hertz] = spent / _TICKS_PER_SECOND
    return seconds


def _memory(files: Mapping[str, list[str]], key: str) -> int | None:
    for line in files.get("/proc/meminfo", ()):
        if line.startswith(f"{key}:"):
            kib = _integer(line.partition(":")[2].strip().removesuffix(" kB"))
            return None if kib is None else kib * 1024
    return None


def _first(files: Mapping[str, list[str]], path: str) -> str:
    return files.get(path, [""])[0]


def _lines(text: str) -> Iterator[str]:
    """The lines, without those too long for any phone's."""
    return (line for line in text.splitlines() if len(line) <= _LINE)


def _after(text: str, key: str) -> str:
    for line in _lines(text):
        if line.strip().startswith(key):
            return shown(line.strip()[len(key) :].strip())
    return ""


def _hertz(khz: str) -> float | None:
    value = _number(khz)
    return value * 1000 if value is not None and value > 0 else None


def _number(text: str) -> float | None:
    if len(text) > _SHOWN:
        return None
    try:
        value = float(text.strip())
    except ValueError:
        return None
    # NaN would pass every comparison with a threshold
    return value if math.isfinite(value) else None


def _integer(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*\d{1,15}\s*", text, re.ASCII) else None
