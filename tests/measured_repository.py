"""A real git repository with a store of results beside it: what history is read from."""

import os
import subprocess
from datetime import UTC, datetime, timedelta

from mobileopt.store import Benchmark, Entry, Environment, Store

START = datetime(2026, 1, 1, tzinfo=UTC)
VARIANT = "mobilenet_v2/fx-float-nchw-mobile"
LATENCY = "latency.time_forward"
_NOISE = (0, 3, -2, 1, -3, 2, -1, 0, 2, -2, 3, -1, 1, -3, 0)
QUIET = [0.1 * (1 + each / 1000) for each in _NOISE]
"""Seconds of a history in which nothing happens."""


def scaled(factor):
    return [factor * value for value in QUIET]


def git(folder, *arguments, **env):
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, env=os.environ | env, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout.strip()


def repository(folder, count):
    """A repository of `count` commits, a day apart; gives their hashes, oldest first."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=folder, input=_stream(count), text=True, check=True
    )
    git(folder, "reset", "-q", "--hard", "main")
    return git(folder, "rev-list", "--reverse", "main").split()


def _stream(count):
    """All commits in the format of git fast-import: one process instead of three a commit."""
    for_each = []
    for number in range(count):
        who = f"Ada <ada@example.org> {int((START + timedelta(days=number)).timestamp())} +0000"
        subject = f"work {number}"
        for_each.append(
            f"commit refs/heads/main\nauthor {who}\ncommitter {who}\n"
            f"data {len(subject)}\n{subject}\nM 644 inline work.txt\ndata 2\n{number % 10}\n\n"
        )
    return "".join(for_each)


def commit(folder, subject, day=0):
    when = (START + timedelta(days=day)).isoformat()
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    git(folder, "commit", "-q", "--allow-empty", "-m", subject, **dates)
    return git(folder, "rev-parse", "HEAD")


def store(folder, commits, values, **changes):
    """Put a value a commit into the store at `folder`; None is not measured."""
    made = Store(folder)
    made.add(*_entries(commits, values, **changes))
    return made


def _entries(  # noqa: PLR0913, PLR0917  what may differ between two series
    commits, values, machine="pixel6", metric=LATENCY, unit="seconds", variant=VARIANT, version="1",
    environment="py3.11",
):  # fmt: skip
    benchmark = Benchmark(metric, version, unit, params=((variant,),), param_names=("variant",))
    for day, (name, value) in enumerate(zip(commits, values, strict=True)):
        if value is not None:
            yield Entry(
                f"{machine} {metric} {version} {day}", {"machine": machine}, name,
                START + timedelta(days=day), Environment(environment), benchmark,
                START + timedelta(days=30 + day), (variant,), (value,) * 3,
            )  # fmt: skip
