"""One measurement at a time on a phone: across processes, users and computers.

A lock on this computer is dropped by the kernel with the process that holds it. A file on the
phone names the holder for other computers that reach the phone through the same server.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Generator
from pathlib import Path

from filelock import FileLock, Timeout

from mobileopt.adb.performance import owner
from mobileopt.adb.phone import WORK, Phone, again
from mobileopt.errors import DeviceError, NotReadyError, OutputError, StorageError

CLAIM = f"{WORK}/mobileopt/owner"
STALE = 3600.0
"""Seconds after which the claim of another computer is void; a holder renews it."""

_UNKNOWN = 60.0  # seconds a claim without a readable name is respected: it is being written

_TAKE = """mkdir -p "${1%/*}"
if (set -C; printf %s "$2" > "$1") 2>/dev/null; then echo taken; exit; fi
[ -e "$1" ] || { echo unwritable; printf x > "$1"; exit; }
echo held; cat "$1"; echo; stat -c %Y "$1"; date +%s"""

_LOOK = """[ -e "$1" ] && { cat "$1"; echo; stat -c %Y "$1"; date +%s; }"""


@contextlib.contextmanager
def claimed(
    phone: Phone, name: str, locks: Path, patience: float = 60.0
) -> Generator[None, None, None]:
    """Hold the device `name` behind a phone; `locks` is this computer's folder for it.

    A phone that goes away in this moment has `patience` seconds to come back.

    Raises NotReadyError, with the holder and since when, when it is being measured; StorageError
    when the phone takes no file; OutputError when the folder cannot be written.
    """
    with _on_this_computer(name, locks):
        again(phone, lambda: _on_the_phone(phone, name), patience=patience)
        try:
            yield
        finally:
            with contextlib.suppress(DeviceError):
                phone.shell(["rm", "-f", CLAIM], deadline=3)


def renew(phone: Phone) -> None:
    """Say that the claim is still alive, and make it again after a phone lost it."""
    phone.script('printf %s "$2" > "$1"', CLAIM, owner(os.getpid()), deadline=10)


def holder(phone: Phone, name: str) -> str:
    """The sentence that says who measures on a phone now, or nothing; takes no claim itself."""
    said = phone.script(_LOOK, CLAIM, deadline=10).stdout.splitlines()[:3]
    try:
        if len(said) == 3:
            _respect(name, "", said)
    except NotReadyError as error:
        return str(error)
    return ""


@contextlib.contextmanager
def _on_this_computer(name: str, locks: Path) -> Generator[None, None, None]:
    told = locks / f"{name}.owner"
    lock = FileLock(locks / f"{name}.lock")
    try:
        locks.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        told.write_text(f"process {os.getpid()} of this computer", encoding="utf-8")
    except Timeout as error:
        raise NotReadyError(f"{name} is being measured by {_holder(told)}") from error
    except OSError as error:
        raise OutputError(f"{locks} cannot be written: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _holder(told: Path) -> str:
    try:
        age = time.time() - told.stat().st_mtime
        return f"{told.read_text(encoding='utf-8')[:80]}, since {_minutes(age)}"
    except OSError:
        return "another process of this computer"


def _on_the_phone(phone: Phone, name: str) -> None:
    me = owner(os.getpid())
    for _ in range(3):
        said = phone.script(_TAKE, CLAIM, me)
        word, *rest = said.stdout.splitlines()[:4] or [""]
        if word == "taken":
            return
        if word != "held" or len(rest) < 3:
            why = said.stderr.strip()[-120:]
            raise StorageError(f"{phone} takes no file in {WORK}/mobileopt: {why!r}")
        _respect(name, me, rest)
        phone.shell(["rm", "-f", CLAIM])
    raise NotReadyError(f"{name} is being claimed by another computer just now")


def _respect(name: str, me: str, told: list[str]) -> None:
    """Raise NotReadyError unless the claim that was found is void."""
    holder, written, now = told[0], *(int(each) if each.isdecimal() else 0 for each in told[1:3])
    host, _, rest = holder.partition(" ")
    age = max(0, now - written)
    if host == socket.gethostname():
        pid = rest.partition(" ")[0]
        # This computer's lock is ours: whoever wrote our own line is a thread that is gone.
        alive = holder != me and pid.isdecimal() and owner(int(pid)) == holder
    else:
        alive = age < (STALE if rest else _UNKNOWN)
    if alive:
        pid = rest.partition(" ")[0]
        raise NotReadyError(
            f"{name} is being measured by process {pid[:20]} of {host[:80]!r}, "
            f"since {_minutes(age)}"
        )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
