"""One nightly at a time, and who it is."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mobileopt.errors import OutputError
from mobileopt.store import files

LOCK, OWNER = "night.lock", "night.owner"


@contextmanager
def held(folder: Path) -> Generator[None]:
    """Hold the lock of a nightly's folder, which is created.

    The kernel drops the lock with the process that holds it, so one that was killed blocks
    nobody. Raises OutputError when another nightly holds it, naming it and its age.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise OutputError(f"another nightly works in {folder}: {owner(folder)}") from error
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error}") from error
    try:
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        files.replace(folder / OWNER, json.dumps(me))
        yield
    finally:
        lock.release()


def owner(folder: Path, now: float | None = None) -> str:
    """Who holds the lock and for how long: ``process 4711 on lab-1, for 2 h 5 min``."""
    try:
        told: dict[str, Any] = files.read_json(folder / OWNER)
        age = max(0.0, (time.time() if now is None else now) - float(told["since"]))
        who = f"process {int(told['pid'])} on {str(told['host'])[:80]!r}"
    except (OSError, files.DamagedFileError, KeyError, TypeError, ValueError):
        return "it has not said who it is"
    hours, minutes = divmod(int(age // 60), 60)
    return f"{who}, for {hours} h {minutes} min" if hours else f"{who}, for {minutes} min"
