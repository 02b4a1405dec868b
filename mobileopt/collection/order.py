"""What to collect, what became of it, and what a phone can run at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mobileopt.collection import programs
from mobileopt.collection.exports import SECONDS, Commit
from mobileopt.collection.programs import Program
from mobileopt.device import Device
from mobileopt.run import Plan
from mobileopt.sampling import Budget
from mobileopt.store import Benchmark
from mobileopt.validity import Gate, thresholds
from mobileopt.variant import Recipe, Variant

ENGINE, ENGINES_OF_PCS = "qnnpack", ("x86", "onednn")
"""The only engine of phones' builds; artifacts of another would answer wrongly there."""

SUFFIXES = {"torchscript": ".pt", "mobile": ".pt", "lite": ".ptl", "executorch": ".pte"}
"""What the backends write, so that nothing is exported that no program takes."""

STORED, PRESENT, SKIPPED, FAILED = "stored", "present", "skipped", "failed"


@dataclass(frozen=True)
class Order:
    """What to collect, from which commit, and into which store.

    `programs` are tried before those of `cached`, which gives the ones for a device. `locks` and
    `exports` are folders of this computer. `deadline` is in seconds a launch, `export_deadline`
    in seconds an export, `patience` what a lost phone gets to come back, `attempts` how often a
    session is begun. `pin` keeps programs on the fastest cores unless the plan names some.
    """

    store: Path
    commit: Commit
    benchmark: Benchmark
    variants: tuple[Variant, ...]
    exports: Path
    locks: Path
    repository: Path
    versions: Mapping[str, str]
    programs: tuple[Program, ...] = ()
    cached: Callable[[Device], tuple[Program, ...]] = lambda _: ()
    plan: Plan = field(default_factory=lambda: Plan(iterations=10, warmup=10, threads=1))
    pin: bool = True
    budget: Budget = field(default_factory=Budget)
    baseline: Recipe | None = None
    references: tuple[Variant, ...] = ()
    redo: bool = False
    deadline: float = 300.0
    export_deadline: float = SECONDS
    patience: float = 60.0
    attempts: int = 2
    entry: Gate = field(default_factory=lambda: thresholds()[0])


@dataclass(frozen=True)
class Outcome:
    """What became of a variant on a device: `stored`, `present` before, `skipped` or `failed`.

    `error` names a failure for a machine. `seconds` is the median sample; `overhead` the seconds
    that the layer around the program took for it.
    """

    device: str
    variant: str
    status: str
    reason: str = ""
    error: str = ""
    validity: str = ""
    samples: int = 0
    seconds: float | None = None
    overhead: float | None = None


@dataclass(frozen=True)
class Event:
    """Something to show: a sentence about a device, or the outcome of one of its variants."""

    device: str
    sentence: str = ""
    outcome: Outcome | None = None
    total: int | None = None


Watch = Callable[[Event], None]


def not_for_phones(recipe: Recipe) -> str:
    """Why no phone can run what a recipe makes, as its name tells, or nothing."""
    if recipe.backend == "eager":
        return "eager needs Python, which phones do not have"
    return _foreign(recipe.precision.rpartition("_")[2])


def not_for_programs(recipe: Recipe, found: Sequence[Program]) -> str:
    """Why none of the programs takes what a recipe makes, as its name tells, or nothing."""
    suffix = SUFFIXES.get(recipe.backend)
    if suffix is None or programs.choose(found, suffix):
        return ""
    return f"no program that was found takes {suffix} files"


def unfit(engine: str | None, suffix: str, program: Program | None) -> str:
    """Why an artifact cannot run on a phone, or nothing."""
    if program is None:
        return f"no program that was found takes {suffix or 'such'} files"
    return _foreign(engine)


def _foreign(engine: str | None) -> str:
    if engine not in ENGINES_OF_PCS:
        return ""
    return f"its int8 kernels are {engine}'s, phones have {ENGINE}'s"
