"""A multilayer perceptron: linear layers and ReLU, nothing to fold or to lay out."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from mobileopt.errors import InputError
from mobileopt.models._inputs import vectors as example_inputs

__all__ = ["build", "example_inputs"]


def build(weights: str | None = None) -> nn.Module:
    """(N, 784) to (N, 10) over three hidden layers of 1024; it has no pretrained weights."""
    if weights is not None:
        raise InputError(f"mlp has no weights {weights!r}, only seeded ones")
    widths = [784, 1024, 1024, 1024]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 10))
