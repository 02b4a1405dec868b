"""What may become part of a path or a key of the store. Everything given is hostile until here."""

from __future__ import annotations

import re

from mobileopt.errors import StoreError

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BENCHMARK = re.compile(r"[A-Za-z_][\w.-]{0,199}", re.ASCII)
# The separators of every system a store is checked out on, and what Windows refuses in a name.
_FORBIDDEN = frozenset('/\\:*?"<>|')
MAX_MACHINE = 128


def check_machine(name: str) -> str:
    """Return a machine's name if it can be a folder; raises StoreError."""
    if len(name) > MAX_MACHINE:
        raise StoreError(f"machine {name[:40]!r}... is {len(name)} long, {MAX_MACHINE} is allowed")
    return _component("machine", name)


def check_environment(name: str) -> str:
    """Return an environment's name if it can be part of a file name; raises StoreError.

    There is no limit on its length: asv puts a digest in place of one of 128 or more.
    """
    return _component("environment", name)


def check_benchmark(name: str) -> str:
    """Return a benchmark's name if it is a dotted one; raises StoreError."""
    if not _BENCHMARK.fullmatch(name) or ".." in name:
        raise StoreError(
            f"benchmark {name[:80]!r} is not a dotted name such as 'device.Latency.track_median', "
            "at most 200 long"
        )
    return name


def check_commit(commit: str) -> str:
    """Return a full commit hash; raises StoreError for anything shorter or else."""
    if not _COMMIT.fullmatch(commit):
        raise StoreError(
            f"commit {commit[:80]!r} is not a full hash of 40 or 64 lower-case hex digits"
        )
    return commit


def _component(what: str, name: str) -> str:
    wrong = (
        not name
        or name[0] == "."
        or name[-1] in ". "
        or not name.isprintable()
        or _FORBIDDEN.intersection(name)
    )
    if wrong:
        raise StoreError(
            f"{what} {name[:80]!r} cannot be a file's name: it must be printable, not start with "
            "'.', not end with '.' or ' ', and hold none of / \\ : * ? \" < > |"
        )
    return name
