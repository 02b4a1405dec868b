"""One launch of a program on a phone: in one round trip, with what it ran on and how fast that was.

The phone prints the time at each clock before and after the program, and the cores the program
may use, around what the program prints; a token made for each launch keeps them apart.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from mobileopt import clocks, runners
from mobileopt.adb import Phone, probe
from mobileopt.adb.phone import Result
from mobileopt.clocks import Residency
from mobileopt.collection.record import Subject
from mobileopt.collection.traces import RUNNING
from mobileopt.device import State
from mobileopt.errors import DeviceError, ProgramError
from mobileopt.phone_texts import parse_state
from mobileopt.run import Plan
from mobileopt.runners import Outcome, Runner

# No awk, sed or cut, which old phones lack, and no process for what the shell itself can read.
_CLOCKS = """for core in $3; do
  file=/sys/devices/system/cpu/cpu$core/cpufreq/stats/time_in_state
  [ -r $file ] && while read -r line; do echo "$file:$line"; done < $file
done
"""
# The program takes the place of the shell, so that the process written down is the program.
_LAUNCH = _CLOCKS + 'echo $$ > "$1"; shift 3; exec "$@"'
_PLACE = 'grep -sH Cpus_allowed_list /proc/self/status; echo "$1 program"; shift; exec "$@"'
_AFTER = 'echo; echo "$2 after"; ' + _CLOCKS

_UNEXPLAINED = ("aborted", "crashed")


@dataclass(frozen=True)
class Launch:
    """What a launch measured; `seconds` are those of the whole round trip.

    `residency` is the time at each clock while the program ran, `affinity` the cores it could
    use; nothing where the phone does not tell.
    """

    outcome: Outcome
    seconds: float
    residency: Residency
    affinity: tuple[int, ...]


@dataclass(frozen=True)
class _Printed:
    program: str
    before: State
    after: State


def launch(
    phone: Phone, subject: Subject, plan: Plan, leaders: Sequence[int], deadline: float
) -> Launch:
    """Run a program once; `leaders` are the cores whose clusters' clocks are of interest.

    Raises what the runner's `parse` raises, and what `Phone.shell` raises.
    """
    runner = runners.load(subject.program.runner)
    inputs = subject.artifact.inputs
    argv = runner.command(subject.program.remote, subject.remote, inputs, plan)
    result, printed = _run(phone, argv, plan, leaders, deadline)
    try:
        outcome = runner.parse(printed.program, result.stderr, result.code, plan)
    except ProgramError as error:
        said = _last_words(phone) if error.fault in _UNEXPLAINED else ""
        if said:
            _explain(runner, printed.program, said, result.code, plan)
            raise ProgramError(error.fault, f"{error}; its last words: {said!r}") from error
        raise
    spent = clocks.elapsed(printed.before, printed.after)
    return Launch(outcome, result.seconds, spent, printed.before.affinity)


def idle(phone: Phone) -> float:
    """Seconds of a launch of nothing: adb, the guard, the shell, the clocks."""
    return median(_run(phone, ["true"], Plan(), (), 30)[0].seconds for _ in range(3))


def _run(
    phone: Phone, argv: Sequence[str], plan: Plan, leaders: Sequence[int], deadline: float
) -> tuple[Result, _Printed]:
    token = f"=={secrets.token_hex(8)}"
    words = probe.pinned(["sh", "-c", _PLACE, "sh", token, *argv], plan.cores)
    cores = " ".join(map(str, leaders))
    result = phone.script(_LAUNCH, RUNNING, token, cores, *words, deadline=deadline, after=_AFTER)
    return result, _parted(result.stdout, token)


def _parted(text: str, token: str) -> _Printed:
    rest, _, after = text.rpartition(f"\n{token} after\n")
    before, begun, program = rest.partition(f"{token} program\n")
    if not begun:  # the shell itself could not start it, and what it says is the program's
        before, program = "", rest
    return _Printed(program, parse_state({"files": before}), parse_state({"files": after}))


def _explain(runner: Runner, printed: str, said: str, code: int, plan: Plan) -> None:
    """Raise the fault that a program's last words name, if they name one."""
    try:
        runner.parse(printed, said, code, plan)
    except ProgramError as error:
        if error.fault not in _UNEXPLAINED:
            raise


def _last_words(phone: Phone) -> str:
    """The abort message in the crash log, where Android's libc writes it."""
    with contextlib.suppress(DeviceError):
        return probe.abort_message(phone)
    return ""
