"""The conditions every host measurement is made under, so that none of them is an accident."""

from __future__ import annotations

import os
from pathlib import Path

THREADS = 1

ENVIRONMENT = {
    "OMP_NUM_THREADS": str(THREADS),
    # With its defaults glibc returns a forward pass's buffers to the kernel and takes thousands
    # of page faults to get them back in the next: a fifth to a third of the time, and noise.
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
}
"""Environment variables of a process that measures; `asv.conf.json` holds the same."""


def environment(checkout: Path | None = None) -> dict[str, str]:
    """This process's environment with the conditions set over it.

    A process started with it, and with ``python -P``, imports mobileopt from `checkout`.
    """
    if checkout is None:
        return os.environ | ENVIRONMENT
    # Sets are walked in one order, so that two builds of one commit are the same to the byte.
    return os.environ | ENVIRONMENT | {"PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
