"""SqueezeNet 1.1 (Iandola et al. 2016), which has no BatchNorm."""

from mobileopt.models._inputs import images as example_inputs
from mobileopt.models._torchvision import builder

__all__ = ["build", "example_inputs"]

build = builder("squeezenet1_1")
