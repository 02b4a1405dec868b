"""TorchScript rewritten by `optimize_for_mobile`: folded BatchNorm, XNNPACK's packed kernels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.mobile_optimizer import optimize_for_mobile

from mobileopt import capabilities
from mobileopt.backends import Exported, torchscript
from mobileopt.errors import CapabilityError

SUFFIX = ".pt"
load = torchscript.load
missing = capabilities.xnnpack


def optimize(module: nn.Module) -> torch.jit.ScriptModule:
    """Script and rewrite for mobile; raises CapabilityError without XNNPACK."""
    if reason := missing():
        raise CapabilityError(reason)
    return optimize_for_mobile(torchscript.script(module))


def export(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> Exported:
    """Save for the full interpreter, as `speed_benchmark_torch`'s full build takes it."""
    return Exported(torchscript.saved(optimize(module)))
