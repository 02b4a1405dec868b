"""A race's samples as a document, and a race run again on them.

A recorded exhaustive search holds the samples of every candidate in every launch, so any race on
it can be replayed without measuring: what it would have asked for is looked up.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mobileopt.errors import InputError
from mobileopt.tuning import evidence
from mobileopt.tuning.candidates import Candidate
from mobileopt.tuning.evidence import Batch, Heat
from mobileopt.tuning.race import ALPHA, Ask, Race, Rules
from mobileopt.variant import Recipe

SCHEMA = 1


@dataclass(frozen=True)
class Recording:
    """The candidates of a model, and the heats in which they were measured on `machine`."""

    model: str
    machine: Mapping[str, str]
    candidates: tuple[Candidate, ...]
    heats: tuple[Heat, ...]

    @property
    def seconds(self) -> float:
        """Measuring time of all of it, in wall seconds."""
        return sum(heat.seconds for heat in self.heats)

    @cached_property
    def fastest(self) -> str:
        """The fastest candidate of all, by name."""
        return evidence.fastest(self.heats, [each.name for each in self.candidates])

    def excess(self, name: str) -> float:
        """How much slower than the fastest a candidate is: 0.02 is 2 %."""
        return math.expm1(evidence.compare(self.heats, name, self.fastest, ALPHA).estimate)


def write(recording: Recording, path: Path) -> None:
    """Write a JSON document: seconds with five significant digits, bytes, decibels.

    Raises InputError when the file cannot be written.
    """
    document = {
        "schema": SCHEMA,
        "model": recording.model,
        "machine": dict(recording.machine),
        "candidates": [
            {"recipe": each.name, "sqnr_db": _finite(each.sqnr), "size_bytes": each.size}
            for each in recording.candidates
        ],
        "heats": [_heat(heat) for heat in recording.heats],
    }
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the session to {path}: {error.strerror}") from error


def read(path: Path) -> Recording:
    """Read what `write` wrote; raises InputError for anything else."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise InputError(f"{path} is a session of schema {document['schema']}, not {SCHEMA}")
        return Recording(
            model=str(document["model"]),
            machine={str(key): str(value) for key, value in document["machine"].items()},
            candidates=tuple(map(_candidate, document["candidates"])),
            heats=tuple(map(_read_heat, document["heats"])),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} cannot be read as a recorded session: {error!r}") from error


def resampled(recording: Recording, draw: random.Random) -> Recording:
    """A session of as many launches, drawn from the recorded ones with replacement."""
    heats = draw.choices(recording.heats, k=len(recording.heats))
    return replace(recording, heats=tuple(heats))


def replay(recording: Recording, rules: Rules) -> Race:
    """Run a race on recorded samples instead of measuring: launch i of it is that of the recording.

    Stops as `interrupted` when the recording holds no further launch.
    """
    race = Race(recording.candidates, rules)
    while (ask := race.ask()) is not None:
        if ask.launch >= len(recording.heats):
            return race.stop("interrupted")
        race = race.after(_take(recording.heats[ask.launch], ask))
    return race


def _take(heat: Heat, ask: Ask) -> Heat:
    wanted = {name for batch in ask.batches for name in batch}
    batches = [each for each in heat.batches if _concerns(each, wanted, heat.reference)]
    return Heat(heat.reference, tuple(_part(each, wanted, heat.reference) for each in batches))


def _concerns(batch: Batch, wanted: set[str], reference: str) -> bool:
    # A batch of which only the reference is wanted is needed when that is all that is wanted.
    return bool(wanted & (batch.wall.keys() - {reference})) or wanted == {reference}


def _part(batch: Batch, wanted: Iterable[str], reference: str) -> Batch:
    # The recording's reference ties its batches together, wanted or not; it is charged for.
    names = [name for name in batch.wall if name in wanted or name == reference]
    return Batch(
        {name: batch.wall[name] for name in names},
        {name: batch.cpu[name] for name in names},
        {name: batch.warmup[name] for name in names},
        batch.unsettled,
    )


def _heat(heat: Heat) -> dict[str, Any]:
    batches = [
        {
            "wall": {name: _rounded(rounds) for name, rounds in batch.wall.items()},
            "cpu": {name: _rounded(rounds) for name, rounds in batch.cpu.items()},
            "warmup": {name: _significant(value) for name, value in batch.warmup.items()},
            "unsettled": sorted(batch.unsettled),
        }
        for batch in heat.batches
    ]
    return {"reference": heat.reference, "batches": batches, "failed": dict(heat.failed)}


def _rounded(rounds: Iterable[Iterable[float]]) -> list[list[float]]:
    return [[_significant(value) for value in samples] for samples in rounds]


def _significant(value: float) -> float:
    return float(f"{value:.5g}")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _candidate(fields: Mapping[str, Any]) -> Candidate:
    sqnr = fields["sqnr_db"]
    return Candidate(
        Recipe.parse(fields["recipe"]),
        math.inf if sqnr is None else float(sqnr),
        int(fields["size_bytes"]),
    )


def _read_heat(fields: Mapping[str, Any]) -> Heat:
    batches = tuple(
        Batch(each["wall"], each["cpu"], each["warmup"], frozenset(each["unsettled"]))
        for each in fields["batches"]
    )
    return Heat(str(fields["reference"]), batches, dict(fields["failed"]))
