"""Artifacts of any commit, exported by that commit's own code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mobileopt.artifact import Artifact
from mobileopt.collection import exports, resolve
from mobileopt.collection.storing import versions
from mobileopt.errors import CombinationError
from mobileopt.variant import Variant


@dataclass(frozen=True)
class Exports:
    """Exports of a repository's commits, kept in `cache`, which collecting on phones shares."""

    repository: Path
    cache: Path

    def get(self, commit: str, variant: Variant) -> Artifact:
        """The artifact of a variant as a commit makes it; exported once.

        Raises CombinationError when that commit cannot, and what `exporter.export` raises.
        """
        of_commit = resolve(self.repository, commit)
        kept = exports.Exports(self.cache, self.repository, of_commit, versions())
        found = kept.get(variant.model, [variant.recipe])
        if variant.recipe not in found.made:
            raise CombinationError(found.refused[variant.recipe])
        return found.made[variant.recipe]
