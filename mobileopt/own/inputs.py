"""Seeded synthetic inputs for a user's own model, from their shapes and dtypes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mobileopt.models._inputs import pictures
from mobileopt.reference import InputSpec


def maker(specs: Sequence[InputSpec]) -> Callable[..., tuple[Tensor, ...]]:
    """The ``example_inputs(batch=1, seed=0)`` of a model with these inputs.

    A batch of n makes the first dimension of every input n times as long.
    """

    def example_inputs(batch: int = 1, seed: int = 0) -> tuple[Tensor, ...]:
        return tuple(_tensor(spec, batch, seed * 101 + i) for i, spec in enumerate(specs))

    return example_inputs


def _tensor(spec: InputSpec, batch: int, seed: int) -> Tensor:
    shape = (spec.shape[0] * batch, *spec.shape[1:])
    generator = torch.Generator().manual_seed(seed)
    dtype: torch.dtype = getattr(torch, spec.dtype)
    if spec.is_whole:
        return torch.randint(0, spec.below, shape, generator=generator).to(dtype)
    if len(shape) == 4:  # images most likely, and noise without structure says little of those
        count, channels, height, width = shape
        return pictures((count, channels, height, width), seed).to(dtype)
    return torch.randn(shape, generator=generator).to(dtype)
