"""The commits of a git repository: their order, what they are called, and checkouts of them.

Every call is git's own program with an argv, never a shell: `git` and `git_bytes` are how the whole
package runs it. Raises InputError with one sentence for a folder that is no repository and a name
that is no commit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mobileopt.errors import InputError, OutputError

_MAIN_BRANCHES = ("origin/HEAD", "main", "master", "origin/main", "origin/master")
# A hook of git's sets these, and they would lead every call to another repository.
_MISLEADING = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
_FIELDS = "%H%x1f%an%x1f%aI%x1f%s"


@dataclass(frozen=True)
class Commit:
    """A commit by its full hash; `date` is the author's, with its time zone."""

    hash: str
    author: str
    date: datetime
    subject: str

    @property
    def short(self) -> str:
        """The first eight digits, as the store files it."""
        return self.hash[:8]

    def __str__(self) -> str:
        return f"{self.short} ({self.subject})"


def git(
    repository: Path,
    *arguments: str,
    feed: str | None = None,
    timeout: float | None = None,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run git in a repository, whatever its exit code; `variables` are added to its environment.

    Raises InputError when there is no git, and subprocess.TimeoutExpired after `timeout` seconds.
    """
    given = None if feed is None else feed.encode()
    done = git_bytes(repository, *arguments, feed=given, timeout=timeout, variables=variables)
    texts = (each.decode(errors="replace") for each in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, *texts)


def git_bytes(
    repository: Path,
    *arguments: str,
    feed: bytes | None = None,
    timeout: float | None = None,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """As `git`, for what is no text, such as an archive."""
    kept = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    try:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments],
            input=feed,
            capture_output=True,
            env=kept | dict(variables or {}),
            timeout=timeout,
            check=False,
        )
    except OSError as error:
        raise InputError(f"git cannot be run: {error.strerror}") from error


def resolve(repository: Path, name: str) -> str:
    """The full hash of whatever git calls `name`; raises InputError when it is no commit."""
    # --end-of-options: a name that begins with a dash is a name, not an option.
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    done = git(repository, *asked)
    if done.returncode:
        _check_repository(repository)
        raise InputError(f"{name!r} is no commit of the repository at {repository}")
    return done.stdout.strip()


def main_branch(repository: Path) -> str:
    """The branch that others start from: origin/HEAD, main or master, whichever there is."""
    _check_repository(repository)
    for name in _MAIN_BRANCHES:
        if not git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").returncode:
            return name
    raise InputError(
        f"{repository} has no branch origin/HEAD, main or master to compare with; name one "
        "with --base"
    )


def merge_base(repository: Path, ours: str, theirs: str) -> str:
    """The commit two names last had in common; raises InputError when there is none."""
    done = git(repository, "merge-base", resolve(repository, ours), resolve(repository, theirs))
    if done.returncode:
        raise InputError(f"{ours} and {theirs} have no commit in common{_shallow(repository)}")
    return done.stdout.strip()


def first_parent(repository: Path, name: str) -> str:
    """The commit before, on the line of its branch; raises InputError when it is the first."""
    commit = resolve(repository, name)
    done = git(repository, "rev-parse", "--verify", "--quiet", f"{commit}^")
    if done.returncode:
        raise InputError(f"{name} is the first commit there is{_shallow(repository)}")
    return done.stdout.strip()


def _shallow(repository: Path) -> str:
    told = git(repository, "rev-parse", "--is-shallow-repository").stdout.strip()
    return "; this clone is shallow, fetch all of its history" if told == "true" else ""


def order(repository: Path, until: str = "HEAD", *, first_parent: bool = False) -> tuple[str, ...]:
    """Every commit reachable from `until`, parents before children, by full hash.

    `first_parent` keeps to the line of a branch, as asv follows it.
    """
    line = ("--first-parent",) if first_parent else ()
    argv = ("rev-list", "--reverse", "--topo-order", *line, resolve(repository, until))
    return tuple(_ask(repository, *argv).split())


def between(repository: Path, after: str, until: str) -> tuple[str, ...]:
    """The commits reachable from `until` and not from `after`, oldest first."""
    span = (f"^{resolve(repository, after)}", resolve(repository, until))
    return tuple(_ask(repository, "rev-list", "--reverse", "--topo-order", *span).split())


def describe(repository: Path, hashes: Iterable[str]) -> Mapping[str, Commit]:
    """What git knows of these commits, by full hash; those it does not have are left out."""
    wanted = sorted(set(hashes))
    if not wanted or not is_repository(repository):
        return {}
    argv = ("log", "--no-walk=unsorted", "--ignore-missing", "--stdin", f"--format={_FIELDS}")
    lines = git(repository, *argv, feed="\n".join(wanted)).stdout.split("\n")
    found = [_commit(line) for line in lines if line.count("\x1f") >= 3]
    return {each.hash: each for each in found}


def content(repository: Path, name: str, path: str) -> bytes | None:
    """A file of the repository as of a commit; None where that commit has none at `path`.

    Raises InputError when `name` is no commit.
    """
    commit = resolve(repository, name)
    if not _ask(repository, "ls-tree", commit, "--", path):
        return None
    done = git_bytes(repository, "show", f"{commit}:./{path}")
    if done.returncode:
        said = _last(done.stderr.decode(errors="replace"))
        raise InputError(f"git show failed in {repository}: {said}")
    return done.stdout


def uncommitted(repository: Path) -> bool:
    """Whether tracked files differ from HEAD."""
    return bool(_ask(repository, "status", "--porcelain", "--untracked-files=no").strip())


def is_repository(folder: Path) -> bool:
    """Whether git finds a repository there."""
    return folder.is_dir() and git(folder, "rev-parse", "--git-dir").returncode == 0


def top(folder: Path) -> Path:
    """The root of the repository a folder lies in."""
    _check_repository(folder)
    return Path(_ask(folder, "rev-parse", "--show-toplevel").rstrip("\n"))


@contextmanager
def checkout(repository: Path, commit: str, folder: Path) -> Iterator[Path]:
    """A worktree of a commit in `folder`, which must not exist; gone when the block ends.

    Raises OutputError when git cannot make it.
    """
    # A checkout of somebody's branch for measuring is no occasion for the repository's hooks.
    add = ("-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", "--quiet")
    done = git(repository, *add, str(folder), resolve(repository, commit))
    if done.returncode:
        raise OutputError(f"git cannot check out {commit[:8]} at {folder}: {_last(done.stderr)}")
    try:
        yield folder
    finally:
        # Not `prune`: that would forget other worktrees too, such as one on a disk not mounted.
        git(repository, "worktree", "remove", "--force", "--force", str(folder))
        shutil.rmtree(folder, ignore_errors=True)


def _commit(line: str) -> Commit:
    name, author, date, subject = line.split("\x1f", 3)
    return Commit(name, author, datetime.fromisoformat(date), subject)


def _check_repository(folder: Path) -> None:
    if not is_repository(folder):
        raise InputError(f"{folder} is no git repository, and what is compared are commits")


def _ask(repository: Path, *arguments: str) -> str:
    done = git(repository, *arguments)
    if done.returncode:
        _check_repository(repository)
        raise InputError(f"git {arguments[0]} failed in {repository}: {_last(done.stderr)}")
    return done.stdout


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
