"""Android's fixed-performance mode (Android 11 and later, no root): a steady, lower clock.

The mode outlives the program that set it. A mark on the phone says who set it, so that a run
that was killed is undone at the next start, by whoever comes next.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Generator
from pathlib import Path

from mobileopt.adb.phone import WORK, Phone
from mobileopt.errors import DeviceError, NotReadyError

MARK = f"{WORK}/mobileopt/fixed-performance"
_HELD = 99

# The mark comes first: a program killed between the two leaves nothing unmarked.
_BEGIN = """[ -e "$1" ] && exit 99
mkdir -p "${1%/*}" && printf %s "$2" > "$1" || exit 98
cmd power set-fixed-performance-mode-enabled true || exit 1"""
_END = """cmd power set-fixed-performance-mode-enabled false
rm -f "$1"
"""


@contextlib.contextmanager
def fixed(phone: Phone) -> Generator[bool, None, None]:
    """Hold the phone at fixed performance; gives whether it can, which many cannot.

    Restored at the end whatever happens; should the phone be out of reach then, the mark stays
    and `restore` undoes it later. Raises NotReadyError when another process holds the mode.
    """
    begun = _begin(phone)
    if begun == _HELD:
        restore(phone)
        begun = _begin(phone)
    try:
        yield begun == 0
    finally:
        with contextlib.suppress(DeviceError):
            _undo(phone)


def restore(phone: Phone) -> bool:
    """Undo what a killed program left; gives whether there was anything.

    Raises NotReadyError when the process that set the mode still runs on this computer.
    """
    mark = phone.shell(["cat", MARK])
    if mark.code != 0:
        return False
    pid = mark.stdout.split(" ")[1] if mark.stdout.count(" ") == 2 else ""
    if pid.isdecimal() and int(pid) != os.getpid() and mark.stdout == owner(int(pid)):
        raise NotReadyError(f"{phone} is being measured by process {pid} of this computer")
    _undo(phone)
    return True


def held(phone: Phone) -> bool:
    """Whether somebody holds the phone at fixed performance, or did and was killed."""
    return phone.shell(["ls", MARK], deadline=10).code == 0


def _begin(phone: Phone) -> int:
    return phone.script(_BEGIN, MARK, owner(os.getpid())).code


def _undo(phone: Phone) -> None:
    phone.script(_END, MARK, deadline=5)


def owner(pid: int) -> str:
    """Who a process is, with its start time, as pids are used again; nothing when it is gone."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{socket.gethostname()} {pid} {started}"
