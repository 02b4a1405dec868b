"""What the tests of the device layer share."""

from __future__ import annotations

import time
from collections.abc import Callable

from mobileopt.adb import WORK, Server
from tests.loopback.connected import Connected

TARGET = f"{WORK}/mobileopt/model.ptl"
HOSTILE = [
    "two words",
    "quote's",
    'double"quote',
    "; touch /data/local/tmp/owned",
    "$(touch /data/local/tmp/owned)",
    "`touch /data/local/tmp/owned`",
    "line\nbreak",
    "-rf",
    "*",
    "back\\slash",
    "comma,0644",
    "ünïcode",
]


def leftovers(connected: Connected) -> list[str]:
    folder = connected.root.folder / "data/local/tmp/mobileopt"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def state_of(server: Server, connected: Connected) -> str:
    at = connected.adbd.address
    return next((each.state for each in server.transports() if each.serial == at), "absent")


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)
