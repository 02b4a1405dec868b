"""What a nightly that was killed has left running: found by a mark in its environment.

`kill -9` of `asv run` leaves the process that benchmarks, which would disturb the next night.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

MARK = "MOBILEOPT_NIGHTLY"
_SPARED = frozenset({"adb"})  # a server that phones of others may hang on


def adopt(folder: Path) -> list[int]:
    """End what earlier nightlies of `folder` left running, and mark this process as its nightly.

    The caller holds the nightly's lock, so whatever carries the mark has lost its nightly.
    Returns the processes ended. Does nothing where there is no /proc.
    """
    ended: list[int] = []
    mark = f"{MARK}={folder.resolve()}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with suppress(OSError):
            if pid == os.getpid() or (process / "comm").read_text().strip() in _SPARED:
                continue
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
                ended.append(pid)
    os.environ[MARK] = str(folder.resolve())
    return ended
