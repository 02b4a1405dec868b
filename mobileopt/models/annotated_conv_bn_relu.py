"""The smallest network of PyTorch's mobile performance recipe: conv, BatchNorm, ReLU.

The recipe converts its input to channels-last inside `forward`; here that is the layout
`nhwc_inside`, so that it can be measured against the others.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.ao.quantization import DeQuantStub, QuantStub

from mobileopt.errors import InputError
from mobileopt.models._inputs import images as example_inputs

__all__ = ["AnnotatedConvBnReLU", "build", "example_inputs"]


class AnnotatedConvBnReLU(nn.Module):
    """(N, 3, H, W) to (N, 5, H - 2, W - 2), between the stubs of eager quantization."""

    def __init__(self) -> None:
        super().__init__()
        self.quant = QuantStub()
        self.conv = nn.Conv2d(3, 5, kernel_size=3, bias=False)
        self.bn = nn.BatchNorm2d(5)
        self.relu = nn.ReLU(inplace=True)
        self.dequant = DeQuantStub()

    def forward(self, x: Tensor) -> Tensor:
        """Quantize, convolve, normalize, rectify, dequantize."""
        return self.dequant(self.relu(self.bn(self.conv(self.quant(x)))))


def build(weights: str | None = None) -> nn.Module:
    """A new network; it has no pretrained weights."""
    if weights is not None:
        raise InputError(f"annotated_conv_bn_relu has no weights {weights!r}, only seeded ones")
    return AnnotatedConvBnReLU()
