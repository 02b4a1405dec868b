"""MobileNetV3-Large (Howard et al. 2019)."""

from mobileopt.models._inputs import images as example_inputs
from mobileopt.models._torchvision import builder

__all__ = ["build", "example_inputs"]

build = builder("mobilenet_v3_large")
