"""Models of noise: log times of two sides over a session of launches and rounds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
Model = Callable[[np.random.Generator, int, int], Times]
"""(generator, launches, rounds a launch) to noise of shape (rounds, 2 slots): a log time each."""


def lognormal(rng: np.random.Generator, launches: int, rounds: int, scale: float = 0.01) -> Times:
    """Independent noise of 1 %."""
    return rng.normal(0, scale, (launches * rounds, 2))


def bursts(rng: np.random.Generator, launches: int, rounds: int) -> Times:
    """A neighbour that comes about every 50 samples for about 12 and costs 30 % on average."""
    slots = 2 * launches * rounds
    busy = np.zeros(slots)
    start = 0
    while (start := start + int(rng.geometric(1 / 50))) < slots:
        stop = start + int(rng.geometric(1 / 12))
        busy[start:stop] = rng.exponential(0.3, len(busy[start:stop]))
        start = stop
    return lognormal(rng, launches, rounds) + busy.reshape(-1, 2)


def drift(rng: np.random.Generator, launches: int, rounds: int) -> Times:
    """A machine that slows by 20 % from the first sample to the last."""
    slots = 2 * launches * rounds
    return lognormal(rng, launches, rounds) + np.linspace(0, 0.18, slots).reshape(-1, 2)


def phone(rng: np.random.Generator, launches: int, rounds: int) -> Times:
    """Noise of 2.5 %, 3 % outliers of up to a half, a drift of 10 %."""
    noise = lognormal(rng, launches, rounds, 0.025)
    outliers = np.where(rng.random(noise.shape) < 0.03, rng.uniform(0, 0.4, noise.shape), 0)
    return noise + outliers + np.linspace(0, 0.1, noise.size).reshape(-1, 2)


MODELS: dict[str, tuple[Model, float]] = {
    "lognormal 1 %": (lognormal, 0.0),
    "neighbour bursts": (bursts, 0.0),
    "drift 20 %": (drift, 0.0),
    "launches bimodal by 3 %": (lognormal, 0.03),
    "phone, launches bimodal by 3 %": (phone, 0.03),
}
"""Each model by name, with the step between a process's two placements, dealt at its launch."""


def session(
    name: str, slowdown: float, launches: int, rounds: int, rng: np.random.Generator
) -> tuple[list[list[float]], list[list[float]]]:
    """Rounds of one sample for both sides, the order within each round drawn anew."""
    model, step = MODELS[name]
    slots = model(rng, launches, rounds)
    order = rng.integers(0, 2, len(slots))
    row = np.arange(len(slots))
    placed = np.repeat(step * rng.integers(0, 2, (launches, 2)), rounds, axis=0)
    a = slots[row, order] + placed[:, 0]
    b = slots[row, 1 - order] + placed[:, 1] + np.log1p(slowdown)
    return [[t] for t in (0.01 * np.exp(a)).tolist()], [[t] for t in (0.01 * np.exp(b)).tolist()]
