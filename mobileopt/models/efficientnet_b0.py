"""EfficientNet-B0 (Tan and Le 2019)."""

from mobileopt.models._inputs import images as example_inputs
from mobileopt.models._torchvision import builder

__all__ = ["build", "example_inputs"]

build = builder("efficientnet_b0")
