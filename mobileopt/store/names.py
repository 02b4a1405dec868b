"""What may become part of a path or a key of the store. Everything given is hostile until here."""

from __future__ import annotations

import re

from mobileopt.errors import StoreError

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BENCHMARK = re.compile(r"[A-Za-z_][\w.-]{0,199}", re.ASCII)
# The separators of every system a store is checked out on, and what Windows refuses in a name.
_FORBIDDEN = frozenset('/\\:*?"<>|')
MAX_MACHINE = 128
MAX_BYTES = 200
"""Of the 255 a file system gives a name: a commit, endings and a time stand around it."""

_DIGESTED = 128  # characters from which asv puts a digest in place of an environment's name


def check_machine(name: str) -> str:
    """Return a machine's name if it can be a folder; raises StoreError."""
    if len(name) > MAX_MACHINE:
        raise StoreError(f"machine {name[:40]!r}... is {len(name)} long, {MAX_MACHINE} is allowed")
    return _of_a_files_length("machine", _component("machine", name))


def check_environment(name: str) -> str:
    """Return an environment's name if it can be part of a file name; raises StoreError.

    One of 128 characters or more may be of any length: asv puts a digest in its place.
    """
    _component("environment", name)
    return name if len(name) >= _DIGESTED else _of_a_files_length("environment", name)


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


def _of_a_files_length(what: str, name: str) -> str:
    size = len(name.encode())
    if size > MAX_BYTES:
        raise StoreError(f"{what} {name[:40]!r}... is {size} bytes long, {MAX_BYTES} are allowed")
    return name
