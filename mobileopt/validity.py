"""Whether a phone may be measured now, and whether a run on it may be believed.

Thresholds are in `validity.toml` beside this file. Nothing here talks to a phone: `gate` is
given a function that reads its state.

The effective frequency is the mean clock weighted by the time the kernel accounted at each
step (`time_in_state`) between two states. It needs no root and shows what a look at the
present clock cannot: a phone that throttled in the middle.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from mobileopt.device import Cpu, Device, State
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
    reference_drift: float
    emulator: str
    debug_build: str


@dataclass(frozen=True)
class Blocker:
    """Why a phone may not be measured now, and whether waiting may help."""

    reason: str
    passes: bool


Finding = tuple[str, str]


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
    device: Device,
    before: State,
    after: State,
    limits: Limits | None = None,
    *,
    pinned: tuple[int, ...] = (),
    doubts: tuple[str, ...] = (),
    fixed: bool = False,
) -> Validity:
    """Whether a run between two states of a phone may be believed.

    `pinned` are the cores the run was kept on, if it was; `doubts` are a runner's own, each of
    which makes the run suspect. `fixed` tells that the phone held fixed performance, so that the
    clock is judged by what the kernel allowed at the start, not by the hardware's highest.
    """
    limits = limits or thresholds()[1]
    cores = pinned or after.affinity
    found: list[Finding] = [
        *((SUSPECT, doubt) for doubt in doubts),
        *_kind(device, limits),
        *_clock(before, after, cores, limits, fixed),
        *_warmth(before, after, limits),
        *_placement(device, before, after, pinned),
    ]
    if not found:
        return Validity()
    verdict = INVALID if any(severity == INVALID for severity, _ in found) else SUSPECT
    return Validity(verdict, tuple(reason for _, reason in found))


def effective_frequencies(before: State, after: State) -> dict[int, float]:
    """The mean clock of each cluster between two states, in hertz, by its lowest core.

    A cluster without accounting, or without time between the states, is left out.
    """
    earlier = {cpu.index: cpu for cpu in before.cpus}
    found: dict[int, float] = {}
    for cpu in after.cpus:
        start = earlier.get(cpu.index)
        if start and cpu.cluster not in found:
            spent = {hz: s - start.residency.get(hz, 0.0) for hz, s in cpu.residency.items()}
            total = sum(spent.values())
            if total > 0 and min(spent.values()) >= 0:
                found[cpu.cluster] = sum(hz * s for hz, s in spent.items()) / total
    return found


def clock_ratio(
    before: State, after: State, cores: tuple[int, ...] = (), *, fixed: bool = False
) -> float | None:
    """The effective frequency over the hardware's highest, of the cluster that ran fastest.

    A program on one core leaves the other clusters idle at their lowest step; the one it ran
    on is the one nearest its maximum. Only clusters of `cores` count, all when there are none.
    When `fixed`, the highest is the one the kernel allowed before.
    """
    tops = {
        cpu.cluster: cpu.limit if fixed else cpu.top for cpu in before.cpus if _allowed(cpu, cores)
    }
    ratios = [
        hertz / top
        for cluster, hertz in effective_frequencies(before, after).items()
        if (top := tops.get(cluster))
    ]
    return max(ratios, default=None)


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
    cores = len(device.capacities) or len(state.cpus) or 1
    if state.load is not None and state.load > limits.load_per_core * cores:
        yield Blocker(f"its load is {state.load:.1f} on {cores} cores", passes=True)


def _kind(device: Device, limits: Limits) -> Iterator[Finding]:
    if device.emulator:
        yield limits.emulator, "it is an emulator"
    if device.build_type not in ("user", ""):
        yield limits.debug_build, f"it runs a {device.build_type!r} build"


def _clock(
    before: State, after: State, cores: tuple[int, ...], limits: Limits, fixed: bool
) -> Iterator[Finding]:
    ratio = clock_ratio(before, after, cores, fixed=fixed)
    if ratio is None:
        yield SUSPECT, "the phone does not account for its clock, so throttling cannot be told"
    elif ratio < limits.frequency_suspect:
        severity = INVALID if ratio < limits.frequency_invalid else SUSPECT
        yield severity, f"it ran at {ratio:.0%} of its {'fixed' if fixed else 'highest'} clock"
    capped = (
        []
        if fixed
        else [
            cpu
            for cpu in (*before.cpus, *after.cpus)
            if _allowed(cpu, cores)
            and cpu.limit
            and cpu.top
            and cpu.limit < limits.limit_suspect * cpu.top
        ]
    )
    if capped:
        worst = min(capped, key=lambda cpu: (cpu.limit or 0) / (cpu.top or 1))
        share = (worst.limit or 0) / (worst.top or 1)
        yield SUSPECT, f"core {worst.index} was held at {share:.0%} of its highest clock"


def _warmth(before: State, after: State, limits: Limits) -> Iterator[Finding]:
    if before.thermal_override or after.thermal_override:
        yield SUSPECT, "the thermal status was overridden"
    known = [s.thermal_status for s in (before, after) if s.thermal_status is not None]
    if known and max(known) >= limits.thermal_status_invalid:
        yield INVALID, f"the thermal status reached {max(known)}"
    elif known and (max(known) > 0 or len(set(known)) > 1):
        yield SUSPECT, f"the thermal status went from {known[0]} to {known[-1]}"
    start, end = before.battery.temperature, after.battery.temperature
    if start is not None and end is not None and end - start > limits.battery_rise:
        yield SUSPECT, f"the battery warmed from {start:.1f} to {end:.1f} C"


def _placement(
    device: Device, before: State, after: State, pinned: tuple[int, ...]
) -> Iterator[Finding]:
    if before.uptime is not None and after.uptime is not None and after.uptime < before.uptime:
        yield INVALID, "the phone restarted during the run"
    if before.affinity != after.affinity:
        yield SUSPECT, "the cores the shell may use changed during the run"
    if before.power_save or after.power_save:
        yield SUSPECT, "battery saver was on"
    fastest = max(device.capacities.values(), default=0)
    best = {core for core, capacity in device.capacities.items() if capacity == fastest}
    if not pinned and after.affinity and best and not best & set(after.affinity):
        yield SUSPECT, "the shell may not use the phone's fastest cores"


def _allowed(cpu: Cpu, cores: tuple[int, ...]) -> bool:
    return not cores or cpu.index in cores
