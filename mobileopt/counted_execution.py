"""Forward passes for callgrind to count.

As a program, ``python -m mobileopt.counted_execution PASSES FOLDER...`` loads and warms up every
artifact, says so in a line, waits for a line on stdin, and then runs each, one dump of callgrind a
pass, with a line after each artifact. See `mobileopt.metrics.instructions`.
"""

from __future__ import annotations

import gc
import select
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from mobileopt import execution
from mobileopt.artifact import Artifact
from mobileopt.errors import MobileoptError
from mobileopt.execution import Forward

_WARM_UP = execution.MIN_WARMUP
_UNCOUNTED = 2  # passes of instrumented code, before those that count


def main(passes: int, folders: Sequence[Path]) -> None:
    """Load all, wait, count all; raises ArtifactError or CapabilityError."""
    answers, sys.stdout = sys.stdout, sys.stderr  # a user's model may print
    loaded = [_warm(folder) for folder in folders]
    gc.collect()
    gc.disable()  # else its turn comes in some passes and not in others
    print("ready", file=answers, flush=True)
    _wait()
    for made, forward in loaded:
        execution.use_engine(made)
        _count(forward, passes)
        print(made.variant, file=answers, flush=True)


def _warm(folder: Path) -> tuple[Artifact, Forward]:
    made, forward = execution.load(folder)
    for _ in range(_WARM_UP):  # not until times settle: under callgrind they mean nothing
        forward()
    return made, forward


def _wait() -> None:
    # Awake again and again: a sleeping process takes vgdb's command only where ptrace is allowed.
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        pass


def _count(forward: Forward, passes: int) -> None:
    for _ in range(_UNCOUNTED):
        forward()
    for _ in range(passes):
        torch._C._valgrind_toggle()
        forward()
        torch._C._valgrind_toggle_and_dump_stats()


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
    except MobileoptError as error:
        sys.exit(f"{error}")
