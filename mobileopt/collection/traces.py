"""What a session leaves on a phone while it runs, and taking it off again.

Only programs stay, so that they need not be pushed again. After `kill -9` or a lost cable the
rest is found by the next start, whether or not it has anything to measure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from mobileopt.adb import WORK, Phone, files, performance
from mobileopt.adb.claim import CLAIM
from mobileopt.collection.programs import Program
from mobileopt.errors import DeviceError, MobileoptError

PROGRAMS = f"{WORK}/mobileopt/bin"
MODELS = f"{WORK}/mobileopt/models"
RUNNING = f"{WORK}/mobileopt/running"

_FOUND = """programs=$1; shift
for each in "$@" "$programs"/*/*.part; do [ -e "$each" ] && exit 0; done
exit 1"""
_CLEAR = """if [ -e "$1" ]; then
  pid=$(cat "$1")
  case "$(ps -p "$pid" -o args= 2>/dev/null)" in *"$2"*) kill -KILL "$pid";; esac
fi
rm -rf "$1" "$3" "$4"/*/*.part"""


def found(phone: Phone) -> bool:
    """Whether there is anything on the phone that a session would have taken off it.

    Raises what `Phone.shell` raises.
    """
    marks = (CLAIM, performance.MARK, RUNNING, MODELS)
    return phone.script(_FOUND, PROGRAMS, *marks, deadline=5).code == 0


def clear(phone: Phone) -> None:
    """End the program that runs, end the mode, and remove the models and half pushed files.

    Raises what `Phone.shell` raises, and NotReadyError when another process of this computer
    holds the mode.
    """
    phone.script(_CLEAR, RUNNING, "/mobileopt/bin/", MODELS, PROGRAMS, deadline=5)
    performance.restore(phone)


def leave(phone: Phone) -> None:
    """`clear`, if the phone can be reached; Ctrl-C does not cut it."""
    with contextlib.suppress(DeviceError), phone.finishing():
        clear(phone)


def tidy(phone: Phone, programs: Sequence[Program]) -> None:
    """`clear`, and remove the programs nobody wants any more."""
    clear(phone)
    wanted = {each.remote.split("/")[-2] for each in programs}
    listed = phone.shell(["ls", PROGRAMS]).stdout.split()
    for each in set(listed) - wanted:
        with contextlib.suppress(MobileoptError):
            files.remove(phone, f"{PROGRAMS}/{each}")


def drop(phone: Phone, remotes: Sequence[str]) -> None:
    """Remove models that are not needed any more, if the phone can be reached."""
    with contextlib.suppress(DeviceError):
        phone.shell(["rm", "-f", *remotes], deadline=10)
