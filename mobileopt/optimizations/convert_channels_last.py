"""Channels-last (NHWC) memory layout, of the input or inside the model.

With `inside`, the model converts its own input as PyTorch's mobile recipe does, and callers go
on passing NCHW; without, callers pass inputs that are already channels-last (`inputs`).
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from mobileopt.errors import CombinationError
from mobileopt.optimizations.result import Result


class ChannelsLast(nn.Module):
    """Makes its input channels-last, then calls the model it wraps."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """`x` of shape (N, C, H, W) in any layout."""
        return self.module(x.contiguous(memory_format=torch.channels_last))


def apply(module: nn.Module, example_inputs: tuple[Tensor, ...], *, inside: bool = False) -> Result:
    """Store 4-D weights channels-last and, with `inside`, convert the input in `forward`.

    Raises CombinationError for a model without 4-D inputs, or, with `inside`, with several.
    """
    if not any(each.dim() == 4 for each in example_inputs):
        shapes = ", ".join(str(tuple(each.shape)) for each in example_inputs)
        raise CombinationError(f"NHWC needs a 4-D input, the model's is of shape {shapes}")
    if inside and len(example_inputs) != 1:
        raise CombinationError(
            f"NHWC inside the model needs exactly one input, the model has {len(example_inputs)}"
        )
    converted = copy.deepcopy(module).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] torch's stub lacks this overload
    changed = tuple(name for name, each in module.named_parameters() if each.dim() == 4)
    return Result(ChannelsLast(converted) if inside else converted, changed)


def inputs(example_inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The same values with every 4-D tensor stored channels-last."""
    return tuple(
        each.contiguous(memory_format=torch.channels_last) if each.dim() == 4 else each
        for each in example_inputs
    )
