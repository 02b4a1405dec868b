"""How far an optimized model's answers are from the original's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from mobileopt.artifact import SYNTHETIC, Fidelity
from mobileopt.errors import ArtifactError

Inputs = Iterable[tuple[Tensor, ...]]
Answer = Any
"""A tensor, or tuples, lists and dicts of tensors, as float64 in NCHW order."""


def outputs(forward: Callable[..., Any], inputs: Inputs) -> list[Answer]:
    """One answer for each input tuple, in what structure the model gives it."""
    with torch.no_grad():
        return [tree_map_only(Tensor, _plain, forward(*each)) for each in inputs]


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().contiguous().double()


def compare(
    reference: Sequence[Answer], answers: Sequence[Answer], source: str = SYNTHETIC
) -> Fidelity:
    """Judge `answers` against `reference`, both from `outputs` over the same inputs.

    `source` says where those inputs are from. The top-1 class is the largest along dimension 1,
    at every position of an output of more than two dimensions. Of several outputs the worst one
    counts, and the first one has the classes. Raises ArtifactError when shapes differ or an
    answer is not finite.
    """
    pairs = list(zip(_joined(reference), _joined(answers), strict=False))
    if len(_joined(reference)) != len(_joined(answers)):
        raise ArtifactError("the artifact answers another number of tensors than the original")
    for expected, found in pairs:
        _check(expected, found)
    return Fidelity(
        noise=max(_ratio(_rms(found - expected), _rms(expected)) for expected, found in pairs),
        top1_agreement=_agreement(*pairs[0]),
        max_relative_error=max(
            _ratio(_largest(found - expected), _largest(expected)) for expected, found in pairs
        ),
        inputs=len(reference),
        source=source,
    )


def _joined(answers: Sequence[Answer]) -> list[Tensor]:
    """Each output over all inputs, along the first dimension."""
    leaves = [[x for x in tree_leaves(each) if isinstance(x, Tensor)] for each in answers]
    return [
        torch.cat([torch.atleast_1d(x) for x in output]) for output in zip(*leaves, strict=True)
    ]


def _check(expected: Tensor, found: Tensor) -> None:
    if expected.shape != found.shape:
        raise ArtifactError(
            f"the artifact answers in shape {tuple(found.shape)}, the original in "
            f"{tuple(expected.shape)}"
        )
    if not torch.isfinite(found).all():
        raise ArtifactError("the artifact answers with values that are not finite")


def _agreement(expected: Tensor, found: Tensor) -> float:
    if expected.dim() < 2:  # there are no classes to choose from
        return 1.0
    return float((found.argmax(1) == expected.argmax(1)).double().mean())


def _ratio(error: float, reference: float) -> float:
    return error / reference if reference else (math.inf if error else 0.0)


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _largest(values: Tensor) -> float:
    return float(values.abs().max())
