"""Artifacts of any commit, exported by that commit's own code and kept for the night."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from mobileopt import artifact, commits, exporter
from mobileopt.artifact import Artifact
from mobileopt.errors import ArtifactError, CombinationError
from mobileopt.exporter import Order
from mobileopt.store import names
from mobileopt.variant import Variant

_KEPT_DAYS = 14


@dataclass(frozen=True)
class Exports:
    """Exports of a repository's commits, below `folder`."""

    repository: Path
    folder: Path

    def get(self, commit: str, variant: Variant) -> Artifact:
        """The artifact of a variant as a commit makes it; exported once.

        Raises CombinationError when that commit cannot, and what `exporter.export` raises.
        """
        folder = self.folder / names.check_commit(commit)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            made = folder / variant.model / str(variant.recipe)
            try:
                return artifact.read(made)
            except ArtifactError:
                shutil.rmtree(made, ignore_errors=True)
            return self._export(commit, variant, folder)

    def _export(self, commit: str, variant: Variant, folder: Path) -> Artifact:
        checkout = folder / "source"
        shutil.rmtree(checkout, ignore_errors=True)  # of a night that was killed
        with commits.checkout(self.repository, commit, checkout) as source:
            told = exporter.export(Order(variant.model, [variant.recipe], folder, source=source))
        if told.refused:
            raise CombinationError(next(iter(told.refused.values())))
        return told.made[0]

    def forget_old(self) -> None:
        """Remove the exports of commits that no night has asked for in two weeks."""
        for folder in self.folder.glob("*"):
            if folder.stat().st_mtime < time.time() - _KEPT_DAYS * 86400:
                shutil.rmtree(folder, ignore_errors=True)
