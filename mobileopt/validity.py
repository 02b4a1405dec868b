"""Whether a phone may be measured now, and whether a run on it may be believed.

Thresholds are in `validity.toml` beside this file. Nothing here talks to a phone: `gate` is
given a function that reads its state.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mobileopt.clocks import Residency, allowed, clock_ratio
from mobileopt.device import Device, State
from mobileopt.errors import NotReadyError
from mobileopt.run import Validity

SUSPECT, INVALID = "suspect", "invalid"


@dataclass(frozen=True)
class Gate:
    """What a phone must meet before a run; units as in `validity.toml`."""

    thermal_status: int
    skin_temperature: float
    battery_temperature: float
    battery_level: float
    load_per_core: float
    cooldown: float
    poll: float


@dataclass(frozen=True)
class Limits:
    """What the states around a run must meet; units as in `validity.toml`."""

    frequency_suspect: float
    frequency_invalid: float
    limit_suspect: float
    thermal_status_invalid: int
    battery_rise: float
    load_rise: float
    unsettled_share: float
    reference_drift: float
    emulator: str
    debug_build: str


@dataclass(frozen=True)
class Blocker:
    """Why a phone may not be measured now, and whether waiting may help."""

    reason: str
    passes: bool


@dataclass(frozen=True)
class Ran:
    """How a run went, beside the states of the phone around it.

    `residency` is the time at each clock while the program ran. `pinned` are the cores it was
    to be kept on, if any, `affinity` those it could use. `doubts` are sentences of a runner or
    of a session, each of which makes the run suspect. `fixed` tells that the phone held fixed
    performance, so that the clock is judged by what the kernel allowed at the start, not by the
    hardware's highest.
    """

    residency: Residency
    pinned: tuple[int, ...] = ()
    affinity: tuple[int, ...] = ()
    threads: int = 1
    doubts: tuple[str, ...] = ()
    fixed: bool = False


@dataclass(frozen=True)
class Finding:
    """What speaks against a run, and how much; `throttled` when a cooler phone may do better."""

    severity: str
    sentence: str
    throttled: bool = False


@cache
def thresholds() -> tuple[Gate, Limits]:
    """The thresholds of `validity.toml`."""
    text = resources.files("mobileopt").joinpath("validity.toml").read_text(encoding="utf-8")
    tables = tomllib.loads(text)
    return Gate(**tables["gate"]), Limits(**tables["run"])


def blockers(device: Device, state: State, limits: Gate | None = None) -> tuple[Blocker, ...]:
    """Everything that speaks against measuring on this phone now."""
    limits = limits or thresholds()[0]
    return (*_heat(state, limits), *_power(state, limits), *_business(device, state, limits))


def gate(
    device: Device,
    read: Callable[[], State],
    limits: Gate | None = None,
    *,
    waiting: Callable[[str, float], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> State:
    """Wait, within bounds, until the phone may be measured; gives the state it then was in.

    `waiting` is called with the reason and the seconds left before each look but the first.
    Raises NotReadyError with every reason: at once for one that waiting does not help, after
    `cooldown` seconds for the others.
    """
    limits = limits or thresholds()[0]
    ends = clock() + limits.cooldown
    while True:
        state = read()
        found = blockers(device, state, limits)
        if not found:
            return state
        reasons = "; ".join(each.reason for each in found)
        left = ends - clock()
        if left <= 0 or not all(each.passes for each in found):
            raise NotReadyError(f"{device.name} may not be measured now: {reasons}")
        if waiting:
            waiting(reasons, left)
        sleep(min(limits.poll, left))


def judge(
    device: Device, before: State, after: State, ran: Ran, limits: Limits | None = None
) -> Validity:
    """Whether a run between two states of a phone may be believed."""
    return verdict(findings(device, before, after, ran, limits))


def verdict(found: tuple[Finding, ...]) -> Validity:
    """The validity of a run against which this was found."""
    if not found:
        return Validity()
    worst = INVALID if any(each.severity == INVALID for each in found) else SUSPECT
    return Validity(worst, tuple(each.sentence for each in found))


def findings(
    device: Device, before: State, after: State, ran: Ran, limits: Limits | None = None
) -> tuple[Finding, ...]:
    """Everything that speaks against a run between two states of a phone."""
    limits = limits or thresholds()[1]
    return (
        *(Finding(SUSPECT, doubt) for doubt in ran.doubts),
        *_kind(device, limits),
        *_clock(before, after, ran, limits),
        *_warmth(before, after, limits),
        *_crowd(device, before, after, ran, limits),
        *_placement(device, before, after, ran),
    )


def heated(before: State, now: State, limits: Limits | None = None) -> str:
    """Why a session should end here: what it did to the phone's temperature; nothing if little.

    Past either limit its samples would no longer be those of the phone it began on.
    """
    limits = limits or thresholds()[1]
    status = now.thermal_status
    if status is not None and status >= limits.thermal_status_invalid - 1:
        return f"its thermal status is {status}"
    start, end = before.battery.temperature, now.battery.temperature
    if start is not None and end is not None and end - start > limits.battery_rise:
        return f"its battery warmed from {start:.1f} to {end:.1f} C"
    return ""


def _heat(state: State, limits: Gate) -> Iterator[Blocker]:
    if state.thermal_override:
        yield Blocker("its thermal status is overridden, so heat cannot be told", passes=False)
    status = state.thermal_status
    if status is not None and status > limits.thermal_status:
        yield Blocker(f"its thermal status is {status}", passes=True)
    for name, celsius in state.temperatures.items():
        if "skin" in name.lower() and celsius > limits.skin_temperature:
            yield Blocker(f"its sensor {name!r} is at {celsius:.1f} C", passes=True)
    warmth = state.battery.temperature
    if warmth is not None and warmth > limits.battery_temperature:
        yield Blocker(f"its battery is at {warmth:.1f} C", passes=True)


def _power(state: State, limits: Gate) -> Iterator[Blocker]:
    level = state.battery.level
    if level is not None and level < limits.battery_level:
        yield Blocker(f"its battery is at {level:.0%}; charge it", passes=False)
    if state.power_save:
        yield Blocker("it saves power; switch battery saver off", passes=False)


def _business(device: Device, state: State, limits: Gate) -> Iterator[Blocker]:
    cores = _cores(device, state)
    if state.load is not None and state.load > limits.load_per_core * cores:
        yield Blocker(f"its load is {state.load:.1f} on {cores} cores", passes=True)


def _kind(device: Device, limits: Limits) -> Iterator[Finding]:
    if device.emulator:
        yield Finding(limits.emulator, "it is an emulator")
    if device.build_type not in ("user", ""):
        yield Finding(limits.debug_build, f"it runs a {device.build_type!r} build")


def _clock(before: State, after: State, ran: Ran, limits: Limits) -> Iterator[Finding]:
    cores = ran.pinned or after.affinity
    ratio = clock_ratio(before, ran.residency, cores, fixed=ran.fixed)
    if ratio is None:
        yield Finding(
            SUSPECT, "the phone does not account for its clock, so throttling cannot be told"
        )
    elif ratio < limits.frequency_suspect:
        severity = INVALID if ratio < limits.frequency_invalid else SUSPECT
        kind = "fixed" if ran.fixed else "highest"
        yield Finding(severity, f"it ran at {ratio:.0%} of its {kind} clock", throttled=True)
    if not ran.fixed:
        yield from _held(before, after, cores, limits)


def _held(before: State, after: State, cores: tuple[int, ...], limits: Limits) -> Iterator[Finding]:
    known = [
        (cpu.limit / cpu.top, cpu.index)
        for cpu in (*before.cpus, *after.cpus)
        if allowed(cpu, cores) and cpu.limit and cpu.top
    ]
    share, core = min(known, default=(1.0, 0))
    if share < limits.limit_suspect:
        held = f"core {core} was held at {share:.0%} of its highest clock"
        yield Finding(SUSPECT, held, throttled=True)


def _warmth(before: State, after: State, limits: Limits) -> Iterator[Finding]:
    if before.thermal_override or after.thermal_override:
        yield Finding(SUSPECT, "the thermal status was overridden")
    known = [s.thermal_status for s in (before, after) if s.thermal_status is not None]
    if known and max(known) >= limits.thermal_status_invalid:
        yield Finding(INVALID, f"the thermal status reached {max(known)}", throttled=True)
    elif known and (max(known) > 0 or len(set(known)) > 1):
        went = f"the thermal status went from {known[0]} to {known[-1]}"
        yield Finding(SUSPECT, went, throttled=True)
    start, end = before.battery.temperature, after.battery.temperature
    if start is not None and end is not None and end - start > limits.battery_rise:
        yield Finding(SUSPECT, f"the battery warmed from {start:.1f} to {end:.1f} C")


def _crowd(
    device: Device, before: State, after: State, ran: Ran, limits: Limits
) -> Iterator[Finding]:
    """Others at work on the phone: what the run itself adds to the load is its threads."""
    if before.load is None or after.load is None:
        return
    cores = _cores(device, before)
    if before.load > thresholds()[0].load_per_core * cores:
        yield Finding(SUSPECT, f"its load was {before.load:.1f} on {cores} cores at the start")
    if after.load > before.load + ran.threads + limits.load_rise:
        rose = f"its load rose from {before.load:.1f} to {after.load:.1f}"
        yield Finding(SUSPECT, f"{rose}, more than {ran.threads} threads can do")


def _placement(device: Device, before: State, after: State, ran: Ran) -> Iterator[Finding]:
    if before.uptime is not None and after.uptime is not None and after.uptime < before.uptime:
        yield Finding(INVALID, "the phone restarted during the run")
    if before.affinity != after.affinity:
        yield Finding(SUSPECT, "the cores the shell may use changed during the run")
    if before.power_save or after.power_save:
        yield Finding(SUSPECT, "battery saver was on")
    fastest = max(device.capacities.values(), default=0)
    best = {core for core, capacity in device.capacities.items() if capacity == fastest}
    if not ran.pinned and after.affinity and best and not best & set(after.affinity):
        yield Finding(SUSPECT, "the shell may not use the phone's fastest cores")
    if ran.pinned and ran.affinity and not set(ran.affinity) <= set(ran.pinned):
        wanted, had = (", ".join(map(str, each)) for each in (ran.pinned, ran.affinity))
        yield Finding(SUSPECT, f"its program was to run on cores {wanted} and could on {had}")


def _cores(device: Device, state: State) -> int:
    return len(device.capacities) or len(state.cpus) or 1
