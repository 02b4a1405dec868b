"""Inspects through another process, as `mobileopt.exporter` exports through one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobileopt.conditions import environment
from mobileopt.errors import MeasurementError


def command(folders: Sequence[Path]) -> list[str]:
    """The argv that inspects, answering a line of JSON for each artifact."""
    return [sys.executable, "-m", "mobileopt", "inspect", "--json", *map(str, folders)]


def inspect(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """What `mobileopt inspect --json` says of each artifact, in order.

    An artifact that cannot be run here has the one key `refused` beside its `target`, and one
    sentence. Raises MeasurementError when the process dies.
    """
    done = subprocess.run(
        command(folders), capture_output=True, env=environment(), text=True, check=False
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    if len(told) < len(folders):
        lines = done.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"exit code {done.returncode} and not a word"
        raise MeasurementError(f"the process that inspects artifacts ended: {reason}")
    return told
