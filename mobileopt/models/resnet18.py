"""ResNet-18 (He et al. 2016), the FX tutorial's own example."""

from mobileopt.models._inputs import images as example_inputs
from mobileopt.models._torchvision import builder

__all__ = ["build", "example_inputs"]

build = builder("resnet18")
