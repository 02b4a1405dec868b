"""An artifact loaded and run in this process: what a host measurement repeats.

As a program, ``python -m mobileopt.execution FOLDER`` loads and warms up the artifact, says so
in one line of JSON on stdout, and then answers every line ``{"samples": n, "seconds": s}`` on
stdin with ``{"wall": [...], "cpu": [...]}`` (see `samples`) until stdin ends.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TextIO

import torch
from torch import Tensor

from mobileopt import artifact, recipes
from mobileopt.artifact import Artifact
from mobileopt.conditions import THREADS
from mobileopt.errors import CapabilityError, MobileoptError
from mobileopt.quantized_engine import missing
from mobileopt.torch_warnings import silence_known_warnings

MIN_WARMUP, MAX_WARMUP = 10, 60
_MAX_WARMUP_SECONDS = 5.0
_WINDOW = 5
_STEADY = 0.05

Forward = Callable[[], object]


@dataclass(frozen=True)
class Warmup:
    """The calls made before measuring, in seconds, and whether they had settled at the end."""

    samples: tuple[float, ...]
    converged: bool


def load(folder: Path) -> tuple[Artifact, Forward]:
    """Check and load an artifact; calling the second value runs one forward pass.

    Sets this process's thread count and, for a quantized artifact, its engine, for good: an
    artifact answers wrongly under another. Raises ArtifactError or CapabilityError.
    """
    silence_known_warnings()
    made = artifact.read(folder)
    use_engine(made)
    torch.set_num_threads(THREADS)
    module = recipes.backend(made.variant.recipe).load(made.path)
    inputs = tuple(_tensor(each) for each in made.inputs)
    return made, _forward(module, inputs)


def use_engine(made: Artifact) -> None:
    """Set the quantized engine an artifact answers rightly under, for whatever runs next.

    Raises CapabilityError where this torch lacks it.
    """
    if made.engine is None:
        return
    if reason := missing(made.engine):
        raise CapabilityError(f"{made.variant} cannot run here: {reason}")
    torch.backends.quantized.engine = made.engine


def _forward(module: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Forward:
    @torch.no_grad()
    def forward() -> object:
        return module(*inputs)

    return forward


def _tensor(described: artifact.Input) -> Tensor:
    dtype = getattr(torch, described.dtype)
    generator = torch.Generator().manual_seed(0)
    # Never zeros: denormals and early saturation make some kernels a hundred times slower.
    values = _values(described.shape, dtype, generator)
    return values.contiguous(memory_format=getattr(torch, described.memory_format))


def _values(shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    # Whole numbers are rows of a table most likely, and every table has these two.
    return torch.randint(0, 2, shape, generator=generator).to(dtype)


def warm_up(forward: Forward) -> Warmup:
    """Call `forward` until its times settle: two windows of calls with medians within 5 %.

    At least 10 calls and at most 60 or five seconds, whichever comes first.
    """
    samples: list[float] = []
    start = time.perf_counter()
    while not has_settled(samples):
        out_of_time = time.perf_counter() - start > _MAX_WARMUP_SECONDS
        if len(samples) >= MAX_WARMUP or (out_of_time and len(samples) >= 2):
            return Warmup(tuple(samples), converged=False)
        samples.append(sample(forward)[0])
    return Warmup(tuple(samples), converged=True)


def has_settled(samples: list[float]) -> bool:
    """Whether the last five samples and the five before them have medians within 5 %."""
    if len(samples) < MIN_WARMUP:
        return False
    last, before = samples[-_WINDOW:], samples[-2 * _WINDOW : -_WINDOW]
    return abs(median(last) / median(before) - 1) <= _STEADY


def sample(forward: Forward) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    forward()
    wall_after, cpu_after = time.perf_counter_ns(), time.process_time_ns()
    return (wall_after - wall) / 1e9, (cpu_after - cpu) / 1e9


def samples(forward: Forward, samples: int, seconds: float) -> list[tuple[float, float]]:
    """Wall and CPU seconds of consecutive calls, at least `samples` in at least `seconds`.

    Fewer of a slow model: rounds say more than samples, so none lasts ten times `seconds`.
    """
    times = [sample(forward)]
    while (spent := sum(wall for wall, _ in times)) < seconds or len(times) < samples:
        if 0 < 10 * seconds <= spent:
            break
        times.append(sample(forward))
    return times


def _serve(folder: Path) -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # a user's model may print
    made, forward = load(folder)
    warmup = warm_up(forward)
    _say(
        answers,
        {"ready": str(made.variant), "warmup": warmup.samples, "converged": warmup.converged},
    )
    for line in sys.stdin:
        # The first call after another process ran finds its caches cold, so it does not count.
        forward()
        times = samples(forward, **json.loads(line))
        _say(answers, {"wall": [wall for wall, _ in times], "cpu": [cpu for _, cpu in times]})


def _say(answers: TextIO, message: dict[str, object]) -> None:
    print(json.dumps(message), file=answers, flush=True)


if __name__ == "__main__":
    try:
        _serve(Path(sys.argv[1]))
    except MobileoptError as error:
        sys.exit(f"{error}")
