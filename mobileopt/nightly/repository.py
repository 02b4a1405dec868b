"""The line of commits a nightly looks at."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from mobileopt import commits
from mobileopt.errors import InputError

_FETCH_SECONDS = 300


def fetch(repository: Path, remote: str) -> str:
    """Fetch a remote; a sentence about what went wrong, empty when nothing did.

    A remote that cannot be reached is no reason not to measure what is here.
    """
    if not remote:
        return ""
    command = ["git", "-C", str(repository), "fetch", "--quiet", "--end-of-options", remote]
    # Nobody is there at night to type a password.
    unattended = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    }
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False,
            timeout=_FETCH_SECONDS, env=os.environ | unattended,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{remote} could not be fetched within {_FETCH_SECONDS} s"
    except OSError as error:
        raise InputError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"{remote} could not be fetched: {last}"
    return ""


def line(repository: Path, branch: str) -> tuple[str, ...]:
    """The commits that led to a branch's tip by first parents, as asv follows them; oldest first.

    Raises InputError for a folder that is no repository and a branch that is none of its.
    """
    tip = commits.resolve(repository, branch)
    command = ["git", "-C", str(repository), "rev-list", "--first-parent", "--reverse", tip]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"git rev-list failed in {repository}: {done.stderr.strip()[-200:]}")
    return tuple(done.stdout.split())
