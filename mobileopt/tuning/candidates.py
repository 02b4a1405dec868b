"""What may take part in a search, and which of equally fast variants is preferred."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from mobileopt.variant import BASELINE, Recipe

Limit = Literal["min_sqnr", "max_size"]


@dataclass(frozen=True)
class Candidate:
    """An exported variant of the model: its SQNR in decibels and its file's size in bytes."""

    recipe: Recipe
    sqnr: float
    size: int

    @property
    def name(self) -> str:
        """The recipe, printed: the candidate's identity in a race."""
        return str(self.recipe)


@dataclass(frozen=True)
class Limits:
    """What a variant has to keep: at least `min_sqnr` decibels, at most `max_size` bytes."""

    min_sqnr: float = 20.0
    max_size: float | None = None

    def unmet(self, candidate: Candidate) -> tuple[Limit, ...]:
        """The limits the candidate does not keep."""
        found: list[Limit] = []
        if candidate.sqnr < self.min_sqnr:
            found.append("min_sqnr")
        if self.max_size is not None and candidate.size > self.max_size:
            found.append("max_size")
        return tuple(found)

    def divide(
        self, candidates: Iterable[Candidate]
    ) -> tuple[tuple[Candidate, ...], Mapping[Candidate, tuple[Limit, ...]]]:
        """Those that keep every limit, and the others with what each does not keep."""
        verdicts = {each: self.unmet(each) for each in candidates}
        kept = tuple(each for each, unmet in verdicts.items() if not unmet)
        return kept, {each: unmet for each, unmet in verdicts.items() if unmet}

    def closest(self, candidates: Iterable[Candidate]) -> Candidate:
        """The candidate that comes closest to keeping every limit.

        First the fewest limits missed, then the smallest miss relative to its limit.
        """
        return min(candidates, key=lambda each: (len(self.unmet(each)), self._miss(each)))

    def _miss(self, candidate: Candidate) -> float:
        # 6 dB are a factor of two in the error, as a factor of two in size is.
        noise = max(0.0, self.min_sqnr - candidate.sqnr) / 6
        size = max(0.0, candidate.size / self.max_size - 1) if self.max_size else 0.0
        return noise + size


def preference(candidate: Candidate) -> tuple[int, int, int, str]:
    """The order among equally fast candidates: smaller is preferred.

    Higher fidelity, then the smaller file, then the recipe with fewer words other than the
    baseline's. Fidelity counts in whole decibels up to 200, where answers are exact, and size in
    hundredths of its order of magnitude: less is an accident of rounding and of names in a file.
    """
    return (
        -round(min(candidate.sqnr, 200.0)),
        int(float(f"{candidate.size:.2g}")),
        len(BASELINE.differs_from(candidate.recipe)),
        candidate.name,
    )
