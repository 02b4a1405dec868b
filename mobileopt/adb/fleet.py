"""The phones behind a server as physical devices: several transports may lead to one."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mobileopt.adb import probe
from mobileopt.adb.phone import Phone, Transport
from mobileopt.adb.server import Server
from mobileopt.device import Device
from mobileopt.errors import DeviceError, ServerError

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


_CONNECTING = threading.Lock()
"""Of two threads that miss a phone, the second must not cut off what the first has connected."""


def connect(server: Server, addresses: Sequence[str]) -> dict[str, str]:
    """Connect the phones at these addresses; gives those that could not be, with the reason.

    One that is connected stays as it is: connecting again would cut off who measures there.
    Raises InputError for what is no address, and ServerError when no server answers.
    """
    problems: dict[str, str] = {}
    with _CONNECTING:
        connected = {each.serial for each in server.transports() if each.state == "device"}
        for address in addresses:
            if address in connected:
                continue
            try:
                server.connect(address)
            except ServerError:
                raise
            except DeviceError as error:
                problems[address] = str(error)
    return problems


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
        groups[_key(each)].append(each)
    found = (_merge(group, list(groups.values())) for group in groups.values())
    return tuple(sorted(found, key=lambda each: each.device.name if each.device else "~"))


def _probe(phone: Phone) -> _Probed:
    state = phone.transport.state
    if state != "device":
        return _Probed(phone, problem=_STATES.get(state, f"it is in state {state!r}"))
    try:
        return _Probed(phone, probe.describe(phone), probe.boot(phone))
    except DeviceError as error:
        return _Probed(phone, problem=str(error))


def _key(probed: _Probed) -> object:
    """Equal for transports that are proven to lead to one phone.

    The serial is no proof: some makers gave it to all their phones. The boot is one, and where it
    may not be read a transport stands alone.
    """
    device, transport = probed.device, probed.phone.transport
    return (device.serial, probed.boot or transport) if device else transport


def _merge(group: list[_Probed], groups: Sequence[list[_Probed]]) -> Found:
    transports = tuple(each.phone.transport for each in group)
    best = min(group, key=lambda each: ":" in each.phone.transport.serial)
    twins = [
        each
        for other in groups
        if other is not group
        for each in other
        if best.device and each.device and each.device.serial == best.device.serial
    ]
    problem = _ambiguous(best, twins) if twins else best.problem
    return Found(best.device, None if problem else best.phone, transports, problem)


def _ambiguous(probed: _Probed, twins: Sequence[_Probed]) -> str:
    others = ", ".join(repr(each.phone.transport.serial) for each in twins)
    if all(each.boot for each in (probed, *twins)):
        return f"it has the same hardware serial as another phone here, {others}; connect one"
    return (
        f"{probed.phone.transport.serial!r} and {others} have the same hardware serial and do not "
        "tell whether they are one phone; disconnect all but one"
    )
