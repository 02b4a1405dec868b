"""Instructions of a forward pass, as valgrind's callgrind counts them: the same on a busy machine.

Callgrind runs a program on a processor of its own that knows no AVX-512, so its count is not that
of the kernels a new PC picks: it says when a variant changed, not which variant is faster.

Nearly all of a count's time is importing torch, so it is done once for several artifacts, and at
the lowest price: not instrumented. `torch.utils.benchmark` counts with callgrind too, but imports
torch instrumented, in a new process for each statement.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median_low
from typing import IO

from mobileopt.conditions import environment
from mobileopt.errors import CapabilityError, MeasurementError

PASSES = 5
_PROGRAMS = ("valgrind", "vgdb")  # the second talks to what runs under the first


def missing() -> str | None:
    """What this machine lacks to count instructions, or None."""
    lacking = [each for each in _PROGRAMS if shutil.which(each) is None]
    if lacking:
        return f"counting instructions needs {' and '.join(lacking)} (Debian package: valgrind)"
    return None


def count(
    folders: Sequence[Path], passes: int = PASSES, on_each: Callable[[], object] = lambda: None
) -> list[int]:
    """Instructions of one warm forward pass of each artifact: the median of `passes`.

    Takes minutes, most of them to import torch; `on_each` is called after each artifact. Raises
    CapabilityError without valgrind, and MeasurementError when the program it runs dies.
    """
    command = [sys.executable, "-m", "mobileopt.counted_execution", str(passes)]
    counted = run([*command, *(str(each.resolve()) for each in folders)], on_each)
    if len(counted) != passes * len(folders):
        raise MeasurementError(
            f"callgrind counted {len(counted)} passes instead of {passes * len(folders)}"
        )
    return [median_low(counted[at : at + passes]) for at in range(0, len(counted), passes)]


def run(command: Sequence[str], on_line: Callable[[], object] = lambda: None) -> list[int]:
    """Run a program under callgrind; the instructions of each of its dumps, in order.

    The program says in a line that it is ready, before which nothing is instrumented, waits for a
    line, then toggles the collection and dumps by client requests. `on_line` is called for each
    line it says after that.
    """
    if reason := missing():
        raise CapabilityError(reason)
    with (
        tempfile.TemporaryDirectory(prefix="mobileopt-") as out,
        tempfile.TemporaryFile() as errors,
    ):
        process = subprocess.Popen(
            [*_callgrind(Path(out)), *command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=environment() | {"PYTHONHASHSEED": "0"},
        )  # fmt: skip
        try:
            _drive(process, on_line)
        finally:
            process.kill()
            process.communicate()
        if process.returncode:
            reason = _last_line(errors) or f"exit code {process.returncode} and not a word"
            raise MeasurementError(f"the program under callgrind ended: {reason}")
        return _totals(Path(out))


def _callgrind(out: Path) -> list[str]:
    return [
        "valgrind",
        "--tool=callgrind",
        "--quiet",
        "--instr-atstart=no",
        "--collect-atstart=no",
        f"--callgrind-out-file={out / 'counts'}",
    ]


def _drive(process: subprocess.Popen[str], on_line: Callable[[], object]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    if process.stdout.readline():
        _switch_on(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        for _ in process.stdout:
            on_line()
    process.wait()


def _switch_on(pid: int) -> None:
    command = ["vgdb", f"--pid={pid}", "instrumentation", "on"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MeasurementError(f"vgdb cannot switch instrumentation on: {done.stderr.strip()}")


def _totals(out: Path) -> list[int]:
    """Callgrind writes `counts.1`, `counts.2`, ... one a dump, and at its end `counts`."""
    dumps = sorted(out.glob("counts.*"), key=lambda path: int(path.suffix[1:]))
    return [_total(dump.read_text(errors="replace"), dump) for dump in dumps]


def _total(text: str, dump: Path) -> int:
    for line in text.splitlines():
        if line.startswith("totals:"):
            return int(line.split()[1])
    raise MeasurementError(f"callgrind's {dump.name} has no line 'totals:'")


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
