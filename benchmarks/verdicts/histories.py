"""Synthetic histories of a benchmark with known change points, each made by its seed alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LENGTHS = (50, 100, 200)
SIZES = (0.02, 0.05, 0.10, 0.20)
SPACING = 10
"""Least number of results between two steps and between a step and an end."""

TUNING = range(60)
"""Seeds the detector was tuned on; figures are reported on others."""
REPORT = range(600_000, 600_200)
CLOSE = range(800_000, 801_000)
"""Seeds of the scenario in which detectors are too close together for fewer."""


@dataclass(frozen=True)
class Scenario:
    """How a machine disturbs its results; widths are of logarithms."""

    name: str
    noise: float = 0.01
    outliers: float = 0.0
    """Share of single results off by 10 to 50 %, four in five of them upwards."""
    drift: bool = False
    """1 to 4 % over the whole history: a ramp in two of three, else a half to 1.5 sine waves."""
    throttling: float = 0.0
    """Probability at each result that throttling by 8 to 20 %, fixed per history, begins."""
    dwell: float = 3.0
    """Mean length of throttling, in results."""
    freedom: float = math.inf
    """Degrees of freedom of Student's t, scaled to `noise` at its quartiles; inf is normal."""
    memory: float = 0.0
    """Autocorrelation of successive noise."""
    wander: float = 0.0
    """Standard deviation of a random walk over the whole history."""


QUIET = Scenario("A quiet")
SCENARIOS = (
    QUIET,
    Scenario("B outliers", outliers=0.03),
    Scenario("C drift", outliers=0.03, drift=True),
    Scenario("D throttled", outliers=0.03, throttling=0.05),
    Scenario("E phone", noise=0.025, outliers=0.03, drift=True, throttling=0.05),
)

FOREIGN = (
    replace(QUIET, name="heavy tails", freedom=3.0),
    replace(QUIET, name="memory .3", memory=0.3),
    replace(QUIET, name="memory .6", memory=0.6),
    replace(QUIET, name="memory .8", memory=0.8),
    replace(QUIET, name="random walk", wander=0.03),
    replace(QUIET, name="dwell 6", throttling=0.03, dwell=6.0),
)
"""Disturbances no scenario has. They led to habits of their own, so they are a check of those."""


@dataclass(frozen=True)
class History:
    """Results, shape (n,), the index of each step's first result, and its fraction with sign."""

    scenario: Scenario
    values: Floats
    steps: tuple[int, ...]
    sizes: tuple[float, ...]


def histories(seeds: range, scenarios: tuple[Scenario, ...] = SCENARIOS) -> Iterator[History]:
    """For each seed, scenario and length: two histories with steps and one without."""
    for seed, scenario, length in product(seeds, scenarios, LENGTHS):
        for kind in range(3):
            yield history(scenario, length, seed=3 * seed + kind, changed=kind < 2)


def history(scenario: Scenario, length: int, *, seed: int, changed: bool) -> History:
    """One history; with steps, one for each 50 results at most, at most 3, of either sign."""
    rng = np.random.default_rng([seed, length, *scenario.name.encode()])
    count = int(rng.integers(1, min(3, length // 50) + 1)) if changed else 0
    room = length - (count + 1) * SPACING
    steps = np.sort(rng.integers(0, room + 1, count)) + SPACING * np.arange(1, count + 1)
    sizes = rng.choice(SIZES, count) * rng.choice([-1, 1], count)
    x = _noise(scenario, length, rng)
    for step, size in zip(steps, sizes, strict=True):
        x[step:] += math.copysign(math.log1p(abs(size)), size)
    hit = rng.random(length) < scenario.outliers
    x[hit] += rng.uniform(0.1, 0.5, hit.sum()) * rng.choice([1, 1, 1, 1, -1], hit.sum())
    if scenario.drift:
        x += _drift(length, rng)
    x += rng.normal(0, scenario.wander / math.sqrt(length), length).cumsum()
    x += _throttling(scenario, length, rng)
    return History(scenario, 0.010 * np.exp(x), tuple(map(int, steps)), tuple(map(float, sizes)))


def _noise(scenario: Scenario, length: int, rng: np.random.Generator) -> Floats:
    if math.isfinite(scenario.freedom):
        return rng.standard_t(scenario.freedom, length) * scenario.noise * 0.882
    fresh = rng.normal(0, scenario.noise, length)
    for i in range(1, length):
        fresh[i] = scenario.memory * fresh[i - 1] + math.sqrt(1 - scenario.memory**2) * fresh[i]
    return fresh


def _drift(length: int, rng: np.random.Generator) -> Floats:
    total = rng.uniform(0.01, 0.04) * rng.choice([-1, 1])
    time = np.linspace(0, 1, length)
    if rng.random() < 2 / 3:
        return total * time
    return total / 2 * np.sin(2 * np.pi * (rng.uniform(0.5, 1.5) * time + rng.random()))


def _throttling(scenario: Scenario, length: int, rng: np.random.Generator) -> Floats:
    x = np.zeros(length)
    amount = math.log1p(rng.uniform(0.08, 0.20))
    leave, enter = 1 / scenario.dwell, scenario.throttling
    throttled = rng.random() < enter / (enter + leave)
    for i, chance in enumerate(rng.random(length)):
        x[i] = amount * throttled
        throttled = chance >= leave if throttled else chance < enter
    return x
