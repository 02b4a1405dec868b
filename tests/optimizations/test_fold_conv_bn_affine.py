from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.optimizations.fold_conv_bn.affine import (
    Affine,
    Unfoldable,
    Weights,
    affine,
    fold_after,
    fold_before,
)


@st.composite
def problems(draw: st.DrawFn):
    """A convolution with random groups and shapes, an input and a generator."""
    groups, transposed = draw(st.integers(1, 3)), draw(st.booleans())
    inner, outer = draw(st.integers(1, 3)) * groups, draw(st.integers(1, 3)) * groups
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    kernel = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    shape = (inner, outer // groups) if transposed else (outer, inner // groups)
    bias = random(outer) if draw(st.booleans()) else None
    weights = Weights(random(*shape, *kernel), bias, transposed, groups)
    return weights, random(2, inner, 5, 5), random


def convolve(weights: Weights, x: torch.Tensor, padding: int = 0) -> torch.Tensor:
    function = F.conv_transpose2d if weights.transposed else F.conv2d
    return function(x, weights.weight, weights.bias, padding=padding, groups=weights.groups)


def applied(map_: Affine, x: torch.Tensor) -> torch.Tensor:
    return x * map_.scale.view(-1, 1, 1) + map_.shift.view(-1, 1, 1)


@settings(deadline=None)
@given(problems())
def test_a_map_after_a_convolution_folds_exactly(problem):
    weights, x, random = problem
    map_ = Affine(random(weights.out_channels), random(weights.out_channels))
    found = convolve(fold_after(weights, map_), x)
    torch.testing.assert_close(found, applied(map_, convolve(weights, x)))


@settings(deadline=None)
@given(problems())
def test_a_map_before_a_convolution_folds_exactly(problem):
    weights, x, random = problem
    shift = random(weights.in_channels) * (not weights.transposed)
    map_ = Affine(random(weights.in_channels), shift)
    found = convolve(fold_before(weights, map_), x)
    torch.testing.assert_close(found, convolve(weights, applied(map_, x)))


@settings(deadline=None)
@given(problems())
def test_a_map_without_shift_folds_through_zero_padding(problem):
    weights, x, random = problem
    map_ = Affine(random(weights.in_channels), torch.zeros(weights.in_channels))
    found = convolve(fold_before(weights, map_), x, padding=0 if weights.transposed else 1)
    expected = convolve(weights, applied(map_, x), padding=0 if weights.transposed else 1)
    torch.testing.assert_close(found, expected)


def test_the_map_of_a_norm_is_that_of_batch_norm_in_evaluation():
    mean, variance, weight, bias = torch.rand(4, 3, dtype=torch.float64)
    map_ = affine(mean, variance, weight, bias, 1e-3)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    expected = F.batch_norm(x, mean, variance, weight, bias, eps=1e-3)
    torch.testing.assert_close(applied(map_, x), expected)


def test_one_small_channel_among_large_ones_is_not_lost_in_half_precision():
    weights = Weights(torch.ones(2, 2, 1, 1, dtype=torch.float16), None)
    scale = torch.tensor([1.0, 1e-6], dtype=torch.float64)
    with pytest.raises(Unfoldable, match=r"too small for torch\.float16"):
        fold_after(weights, Affine(scale, torch.zeros(2, dtype=torch.float64)))
    with pytest.raises(Unfoldable, match=r"too small for torch\.float16"):
        fold_before(weights, Affine(scale, torch.zeros(2, dtype=torch.float64)))


def test_a_channel_scaled_by_zero_is_folded():
    weights = Weights(torch.ones(2, 2, 1, 1, dtype=torch.float16), None)
    zero = torch.zeros(2, dtype=torch.float64)
    assert not fold_after(weights, Affine(zero, zero)).weight.any()
