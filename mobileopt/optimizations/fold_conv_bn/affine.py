"""The arithmetic of folding: a per-channel affine map into the weights beside it.

Everything is computed in float64 on the CPU and rounded once, into the dtype of the weight.
Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (2018), section 3.2, gives the map for a convolution followed
by batch normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


class Unfoldable(Exception):
    """This map cannot go into these weights; the text is the reason."""


@dataclass(frozen=True)
class Affine:
    """`y[:, c] = scale[c] * x[:, c] + shift[c]`; both float64 of shape (channels,)."""

    scale: Tensor
    shift: Tensor

    @property
    def channels(self) -> int:
        """How many channels the map has."""
        return self.scale.numel()

    @property
    def shifts(self) -> bool:
        """Whether any channel is moved, which zero padding after the map would not see."""
        return bool((self.shift != 0).any())


@dataclass(frozen=True)
class Weights:
    """Of a convolution (out, in / groups, ...), a transposed one (in, out / groups, ...) or a
    linear layer (out, in), with a bias of shape (out,) or none."""

    weight: Tensor
    bias: Tensor | None
    transposed: bool = False
    groups: int = 1

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0]

    @property
    def in_channels(self) -> int:
        """Channels of the input."""
        return self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups


def affine(
    mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Affine:
    """The map of batch normalisation in evaluation: (x - mean) / sqrt(variance + eps) * w + b."""
    deviation = (_exact(variance) + eps).sqrt()
    scale = (1.0 if weight is None else _exact(weight)) / deviation
    shift = (0.0 if bias is None else _exact(bias)) - _exact(mean) * scale
    return Affine(scale, shift)


def fold_after(weights: Weights, after: Affine) -> Weights:
    """Weights that do what `weights` and then `after` did. Raises Unfoldable."""
    weight = _grouped(weights) * after.scale.view(weights.groups, -1, 1, 1)
    bias = 0.0 if weights.bias is None else _exact(weights.bias)
    return _stored(weights, weight, bias * after.scale + after.shift)


def fold_before(weights: Weights, before: Affine) -> Weights:
    """Weights that do what `before` and then `weights` did, where no padding adds zeros between
    the two unless `before` does not shift. Raises Unfoldable."""
    weight = _grouped(weights)
    scaled = weight * before.scale.view(weights.groups, 1, -1, 1)
    if not before.shifts:
        bias = None if weights.bias is None else _exact(weights.bias)
        return _stored(weights, scaled, bias)
    if weights.transposed:
        raise Unfoldable("a transposed convolution spreads its shift unevenly at the borders")
    moved = (weight * before.shift.view(weights.groups, 1, -1, 1)).sum((2, 3)).flatten()
    return _stored(weights, scaled, moved if weights.bias is None else moved + _exact(weights.bias))


def _grouped(weights: Weights) -> Tensor:
    """The weight as (groups, out / groups, in / groups, kernel)."""
    weight = _exact(weights.weight).unflatten(0, (weights.groups, -1))
    if weights.transposed:
        weight = weight.transpose(1, 2)
    return weight.flatten(3) if weight.dim() > 3 else weight.unsqueeze(3)


def _stored(like: Weights, grouped: Tensor, bias: Tensor | None) -> Weights:
    """Round once, into the dtype, device and strides of `like`."""
    exact = (grouped.transpose(1, 2) if like.transposed else grouped).reshape(like.weight.shape)
    weight = torch.empty_like(like.weight, requires_grad=False).copy_(exact)
    stored = replace(like, weight=weight, bias=None)
    if bias is not None:
        stored = replace(stored, bias=weight.new_empty(bias.shape).copy_(bias))
    _check_stored(stored, grouped)
    return stored


def _check_stored(stored: Weights, exact: Tensor) -> None:
    """Refuse what the dtype cannot hold: float16 ends at 65504 and loses digits below 6e-5."""
    dtype = stored.weight.dtype
    if not all(t.isfinite().all() for t in (stored.weight, stored.bias) if t is not None):
        raise Unfoldable(f"the folded weights are not finite in {dtype}")
    # By channel: the sum over all of them would be blind to a small one.
    for others in ((2, 3), (1, 3)):
        error = (_grouped(stored) - exact).square().sum(others).sqrt()
        if (error > torch.finfo(dtype).eps * exact.square().sum(others).sqrt()).any():
            raise Unfoldable(f"the folded weights are too small for {dtype}")


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)
