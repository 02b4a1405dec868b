"""The phones behind a server as physical devices: several transports may lead to one."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mobileopt.adb import probe
from mobileopt.adb.phone import Phone, Transport
from mobileopt.adb.server import Server
from mobileopt.device import Device
from mobileopt.errors import DeviceError

_STATES = {
    "offline": "it is offline; unplug it and plug it in again",
    "unauthorized": "it has not authorized this computer; accept it on its screen",
    "authorizing": "it waits for authorization; accept this computer on its screen",
    "no": "it may not be opened by this user; a udev rule is missing",  # "no permissions"
    "connecting": "it is still connecting",
    "bootloader": "it is in its bootloader; start it",
    "recovery": "it is in recovery; start it",
    "sideload": "it is in sideload mode; start it",
}


@dataclass(frozen=True)
class Found:
    """A device, or a transport behind which none could be told, and why it is of no use.

    `phone` is the best way to it (USB before network) and None exactly when there is a
    `problem`.
    """

    device: Device | None
    phone: Phone | None
    transports: tuple[Transport, ...]
    problem: str = ""


@dataclass(frozen=True)
class _Probed:
    phone: Phone
    device: Device | None = None
    boot: str = ""
    problem: str = ""


def find(server: Server) -> tuple[Found, ...]:
    """Everything connected to a server, one entry a physical device, in order of its name.

    A frozen or unauthorized phone is an entry with a problem, never a failure of the others.
    Raises ServerError when no server answers.
    """
    phones = server.phones()
    with ThreadPoolExecutor(max_workers=max(1, len(phones))) as pool:
        probed = list(pool.map(_probe, phones))
    groups: dict[object, list[_Probed]] = defaultdict(list)
    for each in probed:
        # The boot tells apart two phones whose maker gave both the same serial.
        key = (each.device.serial, each.boot) if each.device else each.phone.transport
        groups[key].append(each)
    serials = [group[0].device.serial for group in groups.values() if group[0].device]
    found = (_merge(group, serials) for group in groups.values())
    return tuple(sorted(found, key=lambda each: each.device.name if each.device else "~"))


def _probe(phone: Phone) -> _Probed:
    state = phone.transport.state
    if state != "device":
        return _Probed(phone, problem=_STATES.get(state, f"it is in state {state!r}"))
    try:
        return _Probed(phone, probe.describe(phone), probe.boot(phone))
    except DeviceError as error:
        return _Probed(phone, problem=str(error))


def _merge(group: list[_Probed], serials: list[str]) -> Found:
    transports = tuple(each.phone.transport for each in group)
    best = min(group, key=lambda each: ":" in each.phone.transport.serial)
    problem = best.problem
    if best.device and serials.count(best.device.serial) > 1:
        problem = "it has the same hardware serial as another phone here; connect one of them"
    return Found(best.device, None if problem else best.phone, transports, problem)
