"""The conditions every host measurement is made under, so that none of them is an accident."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mobileopt.errors import InputError, UnknownNameError

THREADS = 1

_KEPT = {
    # With its defaults glibc returns a forward pass's buffers to the kernel and takes thousands
    # of page faults to get them back in the next: a fifth to a third of the time, and noise.
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
}

ENVIRONMENT = {"OMP_NUM_THREADS": str(THREADS), **_KEPT}
"""Environment variables of a process that measures; `asv.conf.json` holds the same."""

INPUTS = {
    "reused": "one input tensor, written once",
    "refilled": "one input tensor, written anew before each forward pass",
    "fresh": "a new input tensor, allocated and written before each forward pass",
}

ALLOCATORS = {
    "kept": "freed memory stays with the process: glibc's thresholds raised",
    "default": "the platform's allocator as it comes",
}


@dataclass(frozen=True)
class Memory:
    """Where a forward pass has its memory from: two words, always both, as `fresh-kept`.

    Part of how an artifact is measured, not of its recipe. Raises UnknownNameError.
    """

    input: str = "reused"
    allocator: str = "kept"

    def __post_init__(self) -> None:
        for what, word, known in (
            ("input", self.input, INPUTS),
            ("allocator", self.allocator, ALLOCATORS),
        ):
            if word not in known:
                raise UnknownNameError(what, word, known)

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Read ``input-allocator``; raises InputError on anything else."""
        words = text.split("-")
        if len(words) != 2:
            raise InputError(
                f"memory condition {text!r} has {len(words)} of the 2 words of input-allocator, "
                "as in 'fresh-kept'"
            )
        return cls(*words)

    def __str__(self) -> str:
        return f"{self.input}-{self.allocator}"


HOST = Memory()
"""What every host measurement has unless it asks for another."""

HARNESS = Path(__file__).parents[1]
"""Where the mobileopt that runs lies: as a checkout, the code of today."""

PROJECT = "MOBILEOPT_PROJECT"
"""The environment variable that tells a benchmark where its commit's project lies."""


def environment(checkout: Path | None = None, memory: Memory = HOST) -> dict[str, str]:
    """This process's environment with the conditions set over it.

    A process started with it, and with ``python -P``, imports mobileopt from `checkout`.
    """
    conditions = os.environ | ENVIRONMENT
    if memory.allocator == "default":
        conditions = {name: value for name, value in conditions.items() if name not in _KEPT}
    if checkout is None:
        return conditions
    # A checkout that holds no mobileopt, as a user's own repository, gets this one. What else was
    # on the path may be another state of the same repository.
    path = os.pathsep.join(map(str, (checkout, HARNESS)))
    # Sets are walked in one order, so that two builds of one commit are the same to the byte.
    return conditions | {"PYTHONPATH": path, "PYTHONHASHSEED": "0"}
