"""The conditions every host measurement is made under, so that none of them is an accident."""

from __future__ import annotations

import os

THREADS = 1

ENVIRONMENT = {
    "OMP_NUM_THREADS": str(THREADS),
    # With its defaults glibc returns a forward pass's buffers to the kernel and takes thousands
    # of page faults to get them back in the next: a fifth to a third of the time, and noise.
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
}
"""Environment variables of a process that measures; `asv.conf.json` holds the same."""


def environment() -> dict[str, str]:
    """This process's environment with the conditions set over it."""
    return os.environ | ENVIRONMENT
