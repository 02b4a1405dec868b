"""A model made reproducible: seeded weights, calibrated BatchNorm, eval mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mobileopt.errors import UnknownNameError
from mobileopt.models import names

SEED = 0
_CALIBRATION_SEED = 9_000
_CALIBRATION_BATCHES = 4
_CALIBRATION_BATCH = 4


@dataclass(frozen=True)
class Network:
    """A named module in eval mode, where its weights come from, and how to make inputs."""

    name: str
    module: nn.Module
    weights: str
    example_inputs: Callable[..., tuple[Tensor, ...]]


def load(name: str, weights: str | None = None) -> Network:
    """Build the model `name` with seeded weights, or with pretrained ones.

    Raises UnknownNameError for a model there is not, CapabilityError for weights that cannot
    be had or a torchvision that does not load, InputError for weights that do not exist.
    """
    if name not in names():
        raise UnknownNameError("model", name, names())
    file = import_module(f"mobileopt.models.{name}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module: nn.Module = file.build(weights)
    if weights is None:
        calibrate_batchnorm(module, file.example_inputs)
    label = f"seeded:{SEED}" if weights is None else f"torchvision:{weights}"
    return Network(name, module.eval(), label, file.example_inputs)


def calibrate_batchnorm(
    module: nn.Module, example_inputs: Callable[..., tuple[Tensor, ...]]
) -> None:
    """Set every BatchNorm's running statistics, in place, to those of seeded batches.

    An untrained network without it shrinks its signal layer by layer (MobileNetV2 answers
    about 1e-15), and no error against it means anything.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    module.eval()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average over the batches
        layer.train()
    # Sums over several threads differ in their last bits, and these become weights.
    with torch.no_grad(), _one_thread():
        for batch in range(_CALIBRATION_BATCHES if layers else 0):
            module(*example_inputs(_CALIBRATION_BATCH, _CALIBRATION_SEED + batch))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
