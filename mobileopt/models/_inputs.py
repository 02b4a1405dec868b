"""Synthetic inputs that make networks answer differently to different ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def images(batch: int = 1, seed: int = 0, size: int = 224) -> tuple[Tensor]:
    """Seeded smooth random images, shape (batch, 3, size, size), about zero mean, unit variance.

    White noise averages out in a network's last pooling, and every image gets the same class;
    then top-1 agreement means nothing. So each image is a coarse random pattern of its own
    contrast under a little noise. Image i of a batch depends on the seed and i alone.
    """
    return (pictures((batch, 3, size, size), seed),)


def pictures(shape: tuple[int, int, int, int], seed: int) -> Tensor:
    """Such images of any shape (batch, channels, height, width)."""
    batch, *size = shape
    return torch.stack([_image(seed * 100_003 + index, *size) for index in range(batch)])


def vectors(batch: int = 1, seed: int = 0, features: int = 784) -> tuple[Tensor]:
    """Seeded standard normal vectors, shape (batch, features)."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, features, generator=generator),)


def _image(seed: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, channels, 4, 4, generator=generator)
    contrast = 0.5 + torch.rand(1, channels, 1, 1, generator=generator)
    pattern = interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    noise = torch.randn(1, channels, height, width, generator=generator)
    return (contrast * pattern + 0.25 * noise)[0]
