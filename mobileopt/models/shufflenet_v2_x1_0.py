"""ShuffleNetV2 1.0x (Ma et al. 2018)."""

from mobileopt.models._inputs import images as example_inputs
from mobileopt.models._torchvision import builder

__all__ = ["build", "example_inputs"]

build = builder("shufflenet_v2_x1_0")
