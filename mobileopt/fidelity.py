"""How far an optimized model's answers are from the original's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mobileopt.artifact import Fidelity
from mobileopt.errors import ArtifactError

Inputs = Sequence[tuple[Tensor, ...]]


def outputs(forward: Callable[..., Tensor], inputs: Inputs) -> list[Tensor]:
    """One output for each input tuple, as float64 in NCHW order."""
    with torch.no_grad():
        return [forward(*each).detach().contiguous().double() for each in inputs]


def compare(reference: Sequence[Tensor], answers: Sequence[Tensor]) -> Fidelity:
    """Judge `answers` against `reference`, both from `outputs` over the same inputs.

    The top-1 class is the largest along dimension 1, at every position of an output of more
    than two dimensions. Raises ArtifactError when shapes differ or an answer is not finite.
    """
    expected, found = torch.cat(list(reference)), torch.cat(list(answers))
    if expected.shape != found.shape:
        raise ArtifactError(
            f"the artifact answers in shape {tuple(found.shape)}, the original in "
            f"{tuple(expected.shape)}"
        )
    if not torch.isfinite(found).all():
        raise ArtifactError("the artifact answers with values that are not finite")
    error = found - expected
    return Fidelity(
        noise=_rms(error) / _rms(expected),
        top1_agreement=float((found.argmax(1) == expected.argmax(1)).double().mean()),
        max_relative_error=float(error.abs().max() / expected.abs().max()),
        inputs=len(reference),
    )


def _rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())
