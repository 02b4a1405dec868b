"""How well change points are found: tables of our detector and the published ones."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
from rich.progress import Progress

from benchmarks.verdicts.histories import (
    CLOSE,
    FOREIGN,
    QUIET,
    REPORT,
    SCENARIOS,
    SIZES,
    TUNING,
    Floats,
    History,
    Scenario,
    histories,
    history,
)
from benchmarks.verdicts.rivals import detectors, mobileopt
from mobileopt.changes import SeriesKey, find_together

T = TypeVar("T")
R = TypeVar("R")

HIT = 2
"""A change point found within this many results of a step is that step."""


@dataclass
class Score:
    """Counts over histories."""

    hits: int = 0
    false: int = 0
    missed: int = 0
    unchanged: int = 0
    alarms: int = 0
    """Change points reported in the `unchanged` histories that have none."""
    by_size: dict[float, list[bool]] = field(default_factory=dict[float, list[bool]])

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, false alarms of unchanged histories included."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false + self.missed)

    @property
    def precision(self) -> float:
        """Share of what was reported that is true."""
        return self.hits / max(1, self.hits + self.false)

    @property
    def alarm_rate(self) -> float:
        """False alarms per unchanged history."""
        return self.alarms / max(1, self.unchanged)

    def add(self, truth: History, found: Sequence[int]) -> None:
        """Count one history."""
        hit = matches(found, truth.steps)
        self.hits += sum(hit)
        self.missed += len(hit) - sum(hit)
        self.false += len(found) - sum(hit)
        for size, was_hit in zip(truth.sizes, hit, strict=True):
            self.by_size.setdefault(abs(size), []).append(was_hit)
        if not truth.steps:
            self.unchanged += 1
            self.alarms += len(found)


def matches(found: Iterable[int], steps: Sequence[int]) -> list[bool]:
    """Whether each step was found; one report answers for one step, the nearest pairs first."""
    free, hit = set(found), [False] * len(steps)
    pairs = sorted((abs(at - step), at, k) for at in free for k, step in enumerate(steps))
    for distance, at, k in pairs:
        if distance <= HIT and at in free and not hit[k]:
            free.remove(at)
            hit[k] = True
    return hit


def main(arguments: Sequence[str]) -> int:
    """Print every table as markdown; `--seeds N` for fewer histories, `--tuning` for theirs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts detection")
    parser.add_argument("--seeds", type=int, default=len(REPORT), help="seeds per table")
    parser.add_argument("--tuning", action="store_true", help="the seeds used for tuning")
    options = parser.parse_args(arguments)
    seeds = (TUNING if options.tuning else REPORT)[: options.seeds]
    with Progress(transient=True) as progress:
        tables = [
            ("Synthetic histories", comparison(progress, seeds)),
            ("The quiet machine, closely", closely(progress, CLOSE[: 5 * len(seeds)])),
            ("Other disturbances", foreign(progress, seeds)),
            ("Flicker as a history grows", flicker(progress, seeds[:30])),
            ("Results needed after a step of 10 %", delay(progress, seeds)),
            ("Many series together", together(progress, seeds)),
            ("Seconds for one series", speed(progress)),
        ]
    for title, lines in tables:
        print(f"### {title}\n", *lines, sep="\n", end="\n\n")
    return 0


def comparison(progress: Progress, seeds: range) -> list[str]:
    """Recall by size, precision, F1 and false alarms of all detectors on the same histories."""
    data = list(histories(seeds))
    rows = [_row("detector", *[f"{s:.0%}" for s in SIZES], "precision", "F1", "FP/null")]
    rows[0] += "".join(f" {s.name[0]} | FP/null {s.name[0]} |" for s in SCENARIOS)
    rows.append("|---" * (8 + 2 * len(SCENARIOS)) + "|")
    for name in detectors():
        total, parts = Score(), {scenario: Score() for scenario in SCENARIOS}
        for truth, found in _all_found(progress, name, data):
            total.add(truth, found)
            parts[truth.scenario].add(truth, found)
        recall = [f"{np.mean(total.by_size[size]):.0%}" for size in SIZES]
        rates = [f"{total.precision:.2f}", f"**{total.f1:.3f}**", f"{total.alarm_rate:.3f}"]
        each = [text for p in parts.values() for text in (f"{p.f1:.3f}", f"{p.alarm_rate:.2f}")]
        rows.append(_row(name, *recall, *rates, *each))
    steps = f"{sum(len(truth.steps) for truth in data):,} steps"
    which = f"seeds {seeds.start} to {seeds.stop - 1}"
    return [f"{len(data):,} histories with {steps}, {which}.", "", *rows]


def closely(progress: Progress, seeds: range) -> list[str]:
    """The quiet scenario by the detectors that are best in it, on many histories."""
    data = list(histories(seeds, (QUIET,)))
    rows = [_row("detector", "steps", "missed", "false", "F1", "FP/null"), "|---" * 6 + "|"]
    best = {"**mobileopt**", "E-divisive, p .01", "otava, p 1e-5"}
    for name in filter(best.__contains__, detectors()):
        score = Score()
        for truth, found in _all_found(progress, name, data):
            score.add(truth, found)
        counts = (f"{score.hits + score.missed:,}", str(score.missed), str(score.false))
        rows.append(_row(name, *counts, f"**{score.f1:.3f}**", f"{score.alarm_rate:.3f}"))
    return [f"{len(data):,} histories, seeds {seeds.start} to {seeds.stop - 1}.", "", *rows]


def foreign(progress: Progress, seeds: range) -> list[str]:
    """F1 and false alarms under disturbances that no scenario has."""
    data = list(histories(seeds[:40], FOREIGN))
    rows = [_row("detector", *[f"{s.name}: F1 | FP/null" for s in FOREIGN])]
    rows.append("|---" * (1 + 2 * len(FOREIGN)) + "|")
    chosen = ("**mobileopt**", "prototype", "PELT rbf, 2 log n", "Mann-Whitney, windows of 12")
    for name in (*chosen, "asv steps"):
        parts = {scenario: Score() for scenario in FOREIGN}
        for truth, found in _all_found(progress, name, data):
            parts[truth.scenario].add(truth, found)
        rows.append(_row(name, *[f"{p.f1:.3f} | {p.alarm_rate:.2f}" for p in parts.values()]))
    return rows


def _all_found(
    progress: Progress, name: str, data: Sequence[History]
) -> Iterable[tuple[History, list[int]]]:
    """Each history with what a detector finds in it."""
    values = [truth.values for truth in data]
    yield from zip(data, _each(progress, name, partial(_found, name), values), strict=True)


def _each(
    progress: Progress, told: str, function: Callable[[T], R], items: Sequence[T]
) -> Iterable[R]:
    """`function` of each item in order, by as many processes as there are cores."""
    with ProcessPoolExecutor() as processes:
        some = max(1, len(items) // 200)
        done = processes.map(function, items, chunksize=some)
        yield from progress.track(done, len(items), description=told)


def _found(name: str, values: Floats) -> list[int]:
    return detectors()[name](values)


def flicker(progress: Progress, seeds: range) -> list[str]:
    """Change points that are gone one result later, per change point first seen."""
    rows = [_row("detector", "seen", "withdrawn", "of those, true"), "|---" * 4 + "|"]
    chosen = ("**mobileopt**", "prototype", "PELT rbf, 2 log n", "Mann-Whitney, windows of 12")
    truths = [
        history(scenario, 100, seed=3 * seed, changed=True)
        for seed in seeds
        for scenario in SCENARIOS
    ]
    values = [truth.values for truth in truths]
    for name in (*chosen, "asv steps"):
        seen, gone, regretted = 0, 0, 0
        growths = _each(progress, f"{name}, growing", partial(_growth, name), values)
        for truth, (new, lost) in zip(truths, growths, strict=True):
            seen, gone = seen + new, gone + len(lost)
            regretted += sum(matches(lost, truth.steps))
        rows.append(_row(name, str(seen), f"{gone} ({gone / max(1, seen):.0%})", str(regretted)))
    return rows


def _growth(name: str, values: Floats) -> tuple[int, list[int]]:
    """How many change points appeared as `values` grew, and which were later missing."""
    new, lost, before = 0, list[int](), list[int]()
    for stop in range(20, len(values) + 1):
        now = _found(name, values[:stop])
        kept = matches(now, before)
        lost += [at for at, hit in zip(before, kept, strict=True) if not hit]
        new += len(now) - sum(kept)
        before = now
    return new, lost


def delay(progress: Progress, seeds: range) -> list[str]:
    """Share of +10 % steps reported after a number of results, by scenario."""
    ages = (3, 4, 5, 6, 8, 10, 15)
    rows = [_row("scenario", *map(str, ages)), "|---" * (1 + len(ages)) + "|"]
    for scenario in SCENARIOS:
        told = f"{scenario.name}, results after a step"
        found = list(_each(progress, told, partial(_found_after, scenario, ages), seeds))
        rows.append(_row(scenario.name, *[f"{share:.0%}" for share in np.mean(found, axis=0)]))
    return rows


def _found_after(scenario: Scenario, ages: Sequence[int], seed: int) -> list[bool]:
    """Whether a step of 10 % is found once it has so many results."""
    values = history(scenario, 100, seed=3 * seed, changed=False).values
    values[80:] *= 1.1
    return [any(matches(mobileopt(values[: 80 + age]), [80])) for age in ages]


def together(progress: Progress, seeds: range) -> list[str]:
    """False discoveries among 10 x seeds series of two machines, one in ten with a 10 % step."""
    names = [f"s{k}" for k in range(5 * len(seeds))]
    series: dict[SeriesKey, list[float | None]] = {}
    for machine, kind in (("a", 0), ("b", 1)):
        for k, name in enumerate(progress.track(names, description=f"machine {machine}")):
            scenario = SCENARIOS[k % len(SCENARIOS)]
            seed = 3 * seeds.start + 10 * k + kind
            values = history(scenario, 100, seed=seed, changed=False).values
            if k % 10 == 0:
                values[40:] *= 1.1
            if machine == "b":
                values[70:] *= 1.05
            series[SeriesKey(machine, name)] = list(values)
    found = find_together(series)
    at = {cause: [c for c in found if c.cause == cause] for cause in ("commit", "machine")}
    true = {"commit": 40, "machine": 70}
    rows = [_row("cause", "present", "reported", "at the right result", "elsewhere")]
    rows.append("|---" * 5 + "|")
    for cause, present in (("commit", 2 * len(names[::10])), ("machine", len(names))):
        right = sum(abs(c.point.index - true[cause]) <= HIT for c in at[cause])
        counts = (present, len(at[cause]), right, len(at[cause]) - right)
        rows.append(_row(cause, *map(str, counts)))
    return rows


def speed(progress: Progress) -> list[str]:
    """Wall and CPU seconds, the least of five, on 10,000 results with a step every 200."""
    rng = np.random.default_rng(0)
    rows = [_row("results", "wall", "CPU"), "|---" * 3 + "|"]
    for length in progress.track((100, 1_000, 10_000), description="seconds"):
        level = np.repeat(rng.choice([-0.1, 0.0, 0.1], length // 200 + 1), 200)[:length]
        outliers = 0.3 * (rng.random(length) < 0.03)
        values = np.exp(level + rng.normal(0, QUIET.noise, length) + outliers)
        spent = np.array([_seconds(values) for _ in range(5)]).min(0)
        rows.append(_row(f"{length:,}", *[f"{seconds:.3f}" for seconds in spent]))
    return rows


def _seconds(values: Floats) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    mobileopt(values)
    return time.perf_counter() - wall, time.process_time() - cpu


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
