"""Where things lie in a store's folder, and what they are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobileopt.store import files

MACHINE = "machine.json"
BENCHMARKS = "benchmarks.json"
MACHINE_VERSION = 1
BENCHMARKS_VERSION = 2
SIDECAR = ".jsonl"
EXTERNAL = "external"
"""Marks a benchmark the store registered itself: a discovery of asv's does not drop it."""


def result_files(folder: Path) -> list[Path]:
    """The result files of a machine's folder, in order of name."""
    return sorted(path for path in folder.glob("*.json") if path.name != MACHINE)


def sidecar(path: Path) -> Path:
    """Where the runs behind a result file are recorded: its name with `.jsonl`."""
    return path.with_suffix(SIDECAR)


def write_versioned(path: Path, content: Mapping[str, Any], version: int) -> None:
    """Write one of the two files asv reads as an object with its version."""
    # asv's own layout of these two files, so that rewriting one shows no difference in git.
    text = json.dumps(dict(content) | {"version": version}, indent=4, sort_keys=True)
    files.replace(path, text)
