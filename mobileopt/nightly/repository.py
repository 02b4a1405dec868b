"""The repository a nightly looks at, brought up to date."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mobileopt.commits import git

_FETCH_SECONDS = 300


def fetch(repository: Path, remote: str) -> str:
    """Fetch a remote; a sentence about what went wrong, empty when nothing did.

    A remote that cannot be reached is no reason not to measure what is here.
    """
    if not remote:
        return ""
    asked = ("fetch", "--quiet", "--end-of-options", remote)
    # Nobody is there at night to type a password.
    unattended = {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
    }
    try:
        done = git(repository, *asked, timeout=_FETCH_SECONDS, variables=unattended)
    except subprocess.TimeoutExpired:
        return f"{remote} could not be fetched within {_FETCH_SECONDS} s"
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return f"{remote} could not be fetched: {last}"
    return ""
