"""The repository's commits as asv numbers them, by one git process for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mobileopt.commits import git
from mobileopt.errors import StoreError

_TAGS = "%(refname:strip=2)%00%(*objectname)%00%(objectname)"


@dataclass(frozen=True)
class Commits:
    """Every commit any branch or tag reaches.

    `numbers` are asv's revisions: the position in `git rev-list --all --date-order --reverse`.
    `dates` are the authors', in milliseconds since 1970. `tags` go from name to commit, oldest
    tag first; `branches` from branch to its first-parent commits, newest first.
    """

    numbers: dict[str, int]
    dates: dict[str, int]
    tags: dict[str, str] = field(default_factory=dict[str, str])
    branches: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    _cache: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]], repr=False)

    def between(self, branch: str, older: str, newer: str) -> list[str] | None:
        """The commits after `older` up to `newer`, newest first; None if one is not on it."""
        places = self._places(branch)
        if older not in places or newer not in places:
            return None
        return self.branches[branch][places[newer] : places[older]]

    def branches_by_commit(self) -> dict[str, list[str]]:
        """The branches each commit is published under; as in asv, a tagged one under all."""
        found: dict[str, list[str]] = {}
        for branch, line in self.branches.items():
            for commit in line:
                found.setdefault(commit, []).append(branch)
        for commit in self.tags.values():
            found.setdefault(commit, list(self.branches))
        return found

    def _places(self, branch: str) -> dict[str, int]:
        if branch not in self._cache:
            line = self.branches.get(branch, [])
            self._cache[branch] = {commit: place for place, commit in enumerate(line)}
        return self._cache[branch]


def read(repository: Path, branches: Sequence[str]) -> Commits:
    """The commits of a git repository; raises StoreError for what git cannot read."""
    numbers: dict[str, int] = {}
    dates: dict[str, int] = {}
    log = _ask(repository, "log", "--all", "--date-order", "--reverse", "--format=%H %at")
    for number, line in enumerate(log.splitlines()):
        commit, _, seconds = line.partition(" ")
        numbers[commit] = number
        dates[commit] = int(seconds) * 1000
    return Commits(
        numbers,
        dates,
        _tags(repository, numbers),
        {
            name: _ask(repository, "rev-list", "--first-parent", name, "--").split()
            for name in branches
        },
    )


def _tags(repository: Path, known: dict[str, int]) -> dict[str, str]:
    tags: dict[str, str] = {}
    listed = _ask(repository, "for-each-ref", "refs/tags", "--sort=taggerdate", f"--format={_TAGS}")
    for line in listed.splitlines():
        name, peeled, plain = line.split("\0")
        commit = peeled or plain
        # A tag of something else than a commit has no place in a history.
        if commit in known:
            tags[name] = commit
    return tags


def _ask(repository: Path, *arguments: str) -> str:
    done = git(repository, *arguments)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise StoreError(f"git cannot read {repository}: {said[0]}")
    return done.stdout
