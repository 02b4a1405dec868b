"""What a session measures, and what it measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mobileopt.artifact import Artifact
from mobileopt.clocks import Residency
from mobileopt.collection.programs import Program
from mobileopt.collection.traces import MODELS
from mobileopt.device import State
from mobileopt.errors import MobileoptError
from mobileopt.run import Plan, Validity
from mobileopt.validity import INVALID

_RANKS = ("valid", "suspect", "invalid")


@dataclass(frozen=True)
class Subject:
    """An artifact and the program that runs it."""

    artifact: Artifact
    program: Program

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self.artifact.variant)

    @property
    def remote(self) -> str:
        """Where the model lies on a phone: by its content, under no name of anybody's choice."""
        return f"{MODELS}/{self.artifact.sha256[:32]}{self.artifact.path.suffix}"


@dataclass(frozen=True)
class Times:
    """Where a session's seconds went. `overhead` is what this layer cost beside the programs'
    own runs, the pushing of files that were not there and the waiting for a cool phone."""

    total: float
    programs: float
    pushing: float
    waiting: float
    launches: int

    @property
    def overhead(self) -> float:
        """Seconds that were none of the others."""
        return self.total - self.programs - self.pushing - self.waiting


@dataclass(frozen=True)
class Verdict:
    """What is known of a variant's launches beside their samples, and what it means.

    `residency` is the time at each clock while its program ran, `affinity` the cores it could
    use. `throttled` tells that a cooler phone may do better.
    """

    validity: Validity
    residency: Residency
    affinity: tuple[int, ...]
    throttled: bool


@dataclass(frozen=True)
class Record:
    """What a session measured, by variant: rounds of samples in seconds, and why some have none.

    `plans` are those of the last launches, with the warm-up iterations it took.
    """

    rounds: Mapping[str, list[tuple[float, ...]]]
    failures: Mapping[str, MobileoptError]
    verdicts: Mapping[str, Verdict]
    plans: Mapping[str, Plan]
    baseline: str
    before: State
    after: State
    reference: tuple[tuple[float, ...], tuple[float, ...]] | None
    fixed: bool
    ended: str
    times: Times
    seed: int

    @property
    def validity(self) -> Mapping[str, Validity]:
        """Whether a variant's samples may be believed."""
        return {name: each.validity for name, each in self.verdicts.items()}

    @property
    def throttled(self) -> bool:
        """Whether it should be done once more, on a cooler phone."""
        return any(each.throttled for each in self.verdicts.values())

    @property
    def void(self) -> bool:
        """Whether the samples of some variant are no result."""
        return any(each.verdict == INVALID for each in self.validity.values())

    @property
    def rank(self) -> tuple[int, int]:
        """The worse the greater: failures, then the worst verdict."""
        verdicts = (_RANKS.index(each.verdict) for each in self.validity.values())
        return len(self.failures), max(verdicts, default=0)
