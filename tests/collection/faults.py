"""Faults of a phone that is being measured, each done to a loopback phone in one call."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from tests.collection import lab
from tests.loopback.connected import Connected
from tests.loopback.wire import Fault

Inject = Callable[[Connected], None]


def byte(kind: str, after: int = 0) -> Inject:
    """A fault of the phone's own adbd, at an exact byte."""

    def inject(phone: Connected) -> None:
        phone.adbd.fault = Fault(kind, after)

    return inject


def unplug(after: int) -> Inject:
    """Gone for good after so many bytes of a file or of a command's output."""

    def inject(phone: Connected) -> None:
        phone.adbd._listener.shutdown(socket.SHUT_RDWR)
        phone.adbd._listener.close()
        phone.adbd.fault = Fault("die", after)

    return inject


def becomes(kind: str) -> Inject:
    """Offline or unauthorized from now on."""

    def inject(phone: Connected) -> None:
        phone.adbd.fault = Fault(kind)
        phone.adbd.die()

    return inject


def reboot(phone: Connected) -> None:
    """Gone, and back a second later with a new boot and without the mode it was in."""
    phone.adbd.power_off()
    phone.root.write("proc/sys/kernel/random/boot_id", "another")
    phone.root.write("proc/uptime", "1.00 1.00\n")
    phone.root.write("state/fixed_performance", "false\n")
    threading.Timer(1.0, phone.adbd.power_on).start()


def freeze(phone: Connected) -> None:
    phone.adbd.freeze()


def blink(phone: Connected) -> None:
    """Frozen in the middle of a command, and back a moment after that was given up."""
    phone.adbd.fault = Fault("stall", 60)
    threading.Timer(4.0, phone.adbd.thaw).start()


def swap(phone: Connected) -> None:
    """Gone, and another phone answers at its address."""
    phone.adbd.power_off()
    phone.root.set_properties(**{"ro.serialno": "ANOTHER"})
    phone.adbd.power_on()


def full(phone: Connected) -> None:
    phone.root.tool("df", 'echo "Filesystem 1K-blocks Used Available Use% Mounted on"\n'
                    'echo "/dev/x 100 100 0 100% /data"')  # fmt: skip


def sealed(phone: Connected) -> None:
    """The whole folder is read-only, as a phone whose /data was mounted so."""
    for tool in ("mkdir", "rm"):
        phone.root.tool(tool, f'echo "{tool}: Read-only file system" >&2; exit 1')
    phone.root.tool("sh", 'case "$*" in *"set -C"*) exit 1;; esac\nexec /bin/sh "$@"')


def knob(text: str, size: str = "1000") -> Inject:
    """Something wrong with the program or with the model of one size: the first variant's."""

    def inject(phone: Connected) -> None:
        lab.knobs(phone.root, text, size)

    return inject
