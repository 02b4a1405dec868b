"""An artifact loaded and run in this process: what a host measurement repeats.

As a program, ``python -m mobileopt.execution [--input WORD] FOLDER...`` loads and warms up the
artifact, says so in one line of JSON on stdout, and then answers every line
``{"samples": n, "seconds": s}`` on stdin with ``{"wall": [...], "cpu": [...], "page_faults": per
pass}`` (see `samples`) until stdin ends, and ``{"allocations": true}`` with those of one pass. With
several folders a request says which is meant: ``"artifact": "1"`` is the second. WORD is one of
`conditions.INPUTS`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TextIO

import torch
from torch import Tensor

from mobileopt import artifact, capabilities, recipes
from mobileopt.artifact import Artifact
from mobileopt.conditions import HOST, INPUTS, THREADS
from mobileopt.errors import CapabilityError, MobileoptError
from mobileopt.metrics import allocations, page_faults
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


def load(folder: Path, reuse: str = HOST.input) -> tuple[Artifact, Forward]:
    """Check and load an artifact; calling the second value runs one forward pass.

    `reuse` is a word of `conditions.INPUTS`: what the pass does about its input tensors.

    Sets this process's thread count and, for a quantized artifact, its engine, for good: an
    artifact answers wrongly under another. Raises ArtifactError or CapabilityError.
    """
    silence_known_warnings()
    made = artifact.read(folder)
    use_engine(made)
    torch.set_num_threads(THREADS)
    module = recipes.backend(made.variant.recipe).load(made.path)
    inputs = tuple(_tensor(each) for each in made.inputs)
    return made, _forward(module, inputs, reuse)


def use_engine(made: Artifact) -> None:
    """Set the quantized engine an artifact answers rightly under, for whatever runs next.

    Raises CapabilityError where this torch lacks it.
    """
    if made.engine is None:
        return
    if reason := capabilities.quantized_engine(made.engine):
        raise CapabilityError(f"{made.variant} cannot run here: {reason}")
    torch.backends.quantized.engine = made.engine


def _forward(module: Callable[..., Tensor], inputs: tuple[Tensor, ...], reuse: str) -> Forward:
    buffers = tuple(each.clone() for each in inputs)

    @torch.no_grad()
    def reused() -> object:
        return module(*inputs)

    @torch.no_grad()
    def refilled() -> object:
        for buffer, values in zip(buffers, inputs, strict=True):
            buffer.copy_(values)
        return module(*buffers)

    @torch.no_grad()
    def fresh() -> object:
        return module(*(each.clone() for each in inputs))

    return {"reused": reused, "refilled": refilled, "fresh": fresh}[reuse]


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


def _serve(folders: Sequence[Path], reuse: str) -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # a user's model may print
    loaded = [load(each, reuse) for each in folders]
    warmups = [_warmed(made, forward) for made, forward in loaded]
    _say(
        answers,
        {
            "ready": ", ".join(str(made.variant) for made, _ in loaded),
            "warmup": [each for warmup in warmups for each in warmup.samples],
            "converged": all(warmup.converged for warmup in warmups),
        },
    )
    for line in sys.stdin:
        request = json.loads(line)
        made, forward = loaded[int(request.pop("artifact", 0))]
        use_engine(made)
        counts = "allocations" in request
        _say(answers, _allocations(made, forward) if counts else _times(forward, request))


def _times(forward: Forward, asked: dict[str, Any]) -> dict[str, object]:
    # The first call after another process ran finds its caches cold, so it does not count.
    forward()
    times: list[tuple[float, float]] = []
    faults = page_faults.count(lambda: times.extend(samples(forward, **asked)))
    return {
        "wall": [wall for wall, _ in times],
        "cpu": [cpu for _, cpu in times],
        "page_faults": faults / len(times),
    }


def _allocations(made: Artifact, forward: Forward) -> dict[str, object]:
    from mobileopt import tracer  # a profiler, which a process that measures time does without

    if tracer.refusal(made):
        return {"count": None}
    trace = tracer.record(forward)
    return {"count": allocations.count(trace), "bytes": allocations.total_bytes(trace)}


def _warmed(made: Artifact, forward: Forward) -> Warmup:
    use_engine(made)
    return warm_up(forward)


def _say(answers: TextIO, message: dict[str, object]) -> None:
    print(json.dumps(message), file=answers, flush=True)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mobileopt.execution")
    parser.add_argument("--input", choices=INPUTS, default=HOST.input)
    parser.add_argument("folders", nargs="+", type=Path)
    given = parser.parse_args()
    _serve(given.folders, given.input)


if __name__ == "__main__":
    try:
        _main()
    except MobileoptError as error:
        sys.exit(f"{error}")
