"""TorchScript rewritten by `optimize_for_mobile`: folded BatchNorm, XNNPACK's packed kernels."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor, nn
from torch.utils.mobile_optimizer import optimize_for_mobile

from mobileopt.backends import torchscript
from mobileopt.errors import CapabilityError

SUFFIX = ".pt"
load = torchscript.load


def missing() -> str | None:
    """XNNPACK, which the wheels of torch lost after 2.12."""
    if import_module("torch.backends.xnnpack").enabled:  # its module class is not in the stubs
        return None
    return (
        f"torch {torch.__version__} is built without XNNPACK, so optimize_for_mobile fails; "
        "2.12.1 is the last torch whose wheels have it"
    )


def optimize(module: nn.Module) -> torch.jit.ScriptModule:
    """Script and rewrite for mobile; raises CapabilityError without XNNPACK."""
    if reason := missing():
        raise CapabilityError(reason)
    return optimize_for_mobile(torchscript.script(module))


def export(module: nn.Module, example_inputs: tuple[Tensor, ...]) -> bytes:
    """Save for the full interpreter, as `speed_benchmark_torch`'s full build takes it."""
    return torchscript.saved(optimize(module))
