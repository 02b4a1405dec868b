"""The artifacts of one commit, exported by its own code and kept for whoever asks again.

    CACHE/COMMIT-VERSIONS/source/            the commit's files
    CACHE/COMMIT-VERSIONS/files/MODEL/RECIPE/  an artifact
    CACHE/COMMIT-VERSIONS/refused/MODEL.json   recipes the commit refuses, with the sentence

Several devices, several processes and later runs share it; the oldest commits are removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mobileopt import artifact, exporter
from mobileopt.artifact import Artifact
from mobileopt.commits import git_bytes
from mobileopt.errors import (
    ArtifactError,
    InputError,
    MeasurementError,
    MobileoptError,
    OutputError,
)
from mobileopt.variant import Recipe

KEPT = 4
"""Commits whose artifacts stay in the cache; one of all models takes about a gigabyte."""

SECONDS = 3600.0
"""What the export of a model's variants may take, and the wait for another process that exports;
the slowest of the suite takes some minutes."""


@dataclass(frozen=True)
class Commit:
    """A commit by its full hash, and when it was written."""

    hash: str
    date: datetime


@dataclass(frozen=True)
class Exported:
    """Artifacts by recipe, and for each recipe without one the sentence that says why."""

    made: Mapping[Recipe, Artifact]
    refused: Mapping[Recipe, str]


def resolve(repository: Path, revision: str) -> Commit:
    """The commit a revision names; raises InputError when it names none."""
    found = _git(repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    commit = found.decode().strip()
    # the author's date, as asv takes it
    seconds = _git(repository, "show", "-s", "--format=%at", commit).decode()
    return Commit(commit, datetime.fromtimestamp(int(seconds), UTC))


class Exports:
    """The artifacts of one commit; may be asked by several threads.

    `versions` are those of the packages that decide what an artifact is. An export ends after
    `seconds`, and when `stop` is set.
    """

    def __init__(
        self,
        cache: Path,
        repository: Path,
        commit: Commit,
        versions: Mapping[str, str],
        *,
        seconds: float = SECONDS,
        stop: threading.Event | None = None,
    ) -> None:
        told = json.dumps(dict(versions), sort_keys=True).encode()
        self.folder = cache / f"{commit.hash}-{hashlib.sha256(told).hexdigest()[:8]}"
        self._repository, self._commit = repository, commit
        self._seconds, self._stop = seconds, stop or threading.Event()
        self._threads = threading.Lock()
        self._known: dict[str, Exported] = {}

    def get(
        self,
        model: str,
        recipes: Sequence[Recipe],
        tell: Callable[[str], object] = lambda _: None,
    ) -> Exported:
        """The artifacts of a model; exports those that are not there yet.

        What the commit does not know yet, a model or a recipe, it refuses. `tell` hears that
        another process is waited for. Raises MeasurementError when the export dies, is stopped or
        takes too long, OutputError when the cache cannot be written or is not let go of.
        """
        with self._threads, self._locked(tell):
            known = self._known.get(model)
            if known is None or not set(recipes) <= {*known.made, *known.refused}:
                known = self._known[model] = self._get(model, recipes)
        return Exported(
            {each: known.made[each] for each in recipes if each in known.made},
            {each: known.refused[each] for each in recipes if each in known.refused},
        )

    def _get(self, model: str, recipes: Sequence[Recipe]) -> Exported:
        refused = self._refused(model)
        made = {each: found for each in recipes if (found := self._read(model, each))}
        missing = [each for each in recipes if each not in made and each not in refused]
        if missing:
            exported = self._export(model, missing)
            made |= exported.made
            refused |= exported.refused
            self._refuse(model, refused)
        return Exported(made, refused)

    def _export(self, model: str, recipes: Sequence[Recipe]) -> Exported:
        """Export by the commit's code. It refuses a whole order for one word it does not know
        yet, so each recipe is then asked for on its own."""
        order = exporter.Order(model, recipes, self.folder / "files", checkout=self._source())
        try:
            told = exporter.export(order, timeout=self._seconds, stop=self._stop)
        except InputError as error:
            if len(recipes) == 1 or str(error).startswith("unknown model"):
                return Exported({}, dict.fromkeys(recipes, str(error)))
            alone = [self._export(model, [each]) for each in recipes]
            return Exported(
                {recipe: artifact for each in alone for recipe, artifact in each.made.items()},
                {recipe: why for each in alone for recipe, why in each.refused.items()},
            )
        made = {each.variant.recipe: each for each in told.made}
        refused = {Recipe.parse(name): why for name, why in told.refused.items()}
        if silent := set(recipes) - {*made, *refused}:
            names = ", ".join(sorted(map(str, silent)))
            raise MeasurementError(f"the export of {model} answered, and not for {names}")
        return Exported(made, refused)

    def _read(self, model: str, recipe: Recipe) -> Artifact | None:
        folder = self.folder / "files" / model / str(recipe)
        if not folder.is_dir():
            return None
        with contextlib.suppress(ArtifactError):
            return artifact.read(folder)
        shutil.rmtree(folder, ignore_errors=True)  # damaged: exported again
        return None

    def _refused(self, model: str) -> dict[Recipe, str]:
        try:
            told: Any = json.loads(self._refusals(model).read_text(encoding="utf-8"))
            return {Recipe.parse(name): str(why) for name, why in told.items()}
        except (OSError, ValueError, AttributeError, MobileoptError):
            return {}

    def _refuse(self, model: str, refused: Mapping[Recipe, str]) -> None:
        path = self._refusals(model)
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}.part")
        text = json.dumps({str(recipe): why for recipe, why in refused.items()})
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)

    def _refusals(self, model: str) -> Path:
        return self.folder / "refused" / f"{model}.json"

    def _source(self) -> Path:
        """The commit's files, without its results; an archive leaves no mark in the repository."""
        target = self.folder / "source"
        if not target.is_dir():
            archive = _git(
                self._repository, "archive", "--format=tar", self._commit.hash, "--", ".",
                ":(exclude)results",
            )  # fmt: skip
            fresh = Path(tempfile.mkdtemp(prefix=".source-", dir=self.folder))
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                if hasattr(tarfile, "data_filter"):
                    tar.extractall(fresh, filter="data")
                else:  # Python before 3.11.4; it is git's archive of code that is about to be run
                    tar.extractall(fresh)  # noqa: S202  for the same reason
            fresh.rename(target)
        return target

    @contextlib.contextmanager
    def _locked(self, tell: Callable[[str], object]) -> Generator[None, None, None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._acquired(FileLock(self.folder / ".lock"), tell):
                os.utime(self.folder)  # used just now
                yield
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be written: {error}") from error

    @contextlib.contextmanager
    def _acquired(
        self, lock: FileLock, tell: Callable[[str], object]
    ) -> Generator[None, None, None]:
        ends = time.monotonic() + self._seconds
        waiting = False
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0.5 if waiting else 0)
            except Timeout:
                if not waiting:
                    tell("waits for another process that exports this commit")
                waiting = True
                self._check(ends, lock)
        try:
            yield
        finally:
            lock.release()

    def _check(self, ends: float, lock: FileLock) -> None:
        if self._stop.is_set():
            raise MeasurementError("the export was stopped")
        if time.monotonic() > ends:
            raise OutputError(
                f"another process has held {lock.lock_file} for {self._seconds:g} s; "
                "it exports the same commit, or hangs"
            )


def prune(cache: Path, keep: int = KEPT) -> None:
    """Remove the artifacts of all but the commits used last; one in use is left alone."""
    try:
        folders = sorted(cache.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    except OSError:
        return
    for folder in folders[keep:]:
        with contextlib.suppress(OSError, Timeout), FileLock(folder / ".lock").acquire(timeout=0):
            shutil.rmtree(folder, ignore_errors=True)


def _git(repository: Path, *arguments: str) -> bytes:
    done = git_bytes(repository, *arguments)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"exit code {done.returncode}"
        raise InputError(f"git says of {repository}: {reason}")
    return done.stdout
