"""A model made reproducible: seeded or given weights, calibrated BatchNorm, eval mode."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves

from mobileopt import reference
from mobileopt.errors import InputError
from mobileopt.models import names
from mobileopt.own import factory, program
from mobileopt.own import weights as own_weights
from mobileopt.own.inputs import maker
from mobileopt.own.running import sentence
from mobileopt.reference import InputSpec

SEED = 0
_CALIBRATION_SEED = 9_000
_CALIBRATION_BATCHES = 4
_CALIBRATION_BATCH = 4


@dataclass(frozen=True)
class Network:
    """A named module in eval mode, where its weights come from, and how to make inputs.

    `calibration_batch` is how many of its inputs go into one batch of calibration: a user's own
    model may take no other number than the one it was given with.
    """

    name: str
    module: nn.Module
    weights: str
    example_inputs: Callable[..., tuple[Tensor, ...]]
    calibration_batch: int = 4


def load(
    model: str,
    weights: str | None = None,
    *,
    inputs: Sequence[InputSpec] = (),
    name: str | None = None,
) -> Network:
    """Build the model that `model` names, as `mobileopt.reference` says.

    One of ours has seeded weights, or torchvision's where `weights` names them. A user's own is
    called with `inputs` (a program knows its own) and keeps the weights it comes with; where it
    has BatchNorm that has never seen a batch it is untrained, and those are calibrated. For
    either, `weights` may be the file of a state dict. `name` replaces the model's name. Raises
    UnknownNameError, CapabilityError for weights that cannot be had or a torchvision that does
    not load, and InputError for all else that the user gave.
    """
    if reference.kind(model, names()) == "known":
        found = _known(model, weights, inputs)
    else:
        found = _own(model, weights, inputs)
    return replace(found, name=reference.name(model, name))


def _known(name: str, weights: str | None, inputs: Sequence[InputSpec]) -> Network:
    if inputs:
        raise InputError(
            f"{name} brings its own inputs; for others name the factory of a model, as in "
            "torchvision.models:resnet18 --input 1,3,160,160"
        )
    file = import_module(f"mobileopt.models.{name}")
    path = Path(weights) if weights and own_weights.is_path(weights) else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module: nn.Module = file.build(None if path else weights)
    if path:
        label = own_weights.load_into(module, path)
    elif weights is None:
        label = f"seeded:{SEED}"
        calibrate_batchnorm(module, file.example_inputs)
    else:
        label = f"torchvision:{weights}"
    return Network(name, module.eval(), label, file.example_inputs)


def _own(model: str, weights: str | None, inputs: Sequence[InputSpec]) -> Network:
    if model.endswith(".pt2"):
        if weights is not None:
            raise InputError(f"{model} brings its own weights; leave --weights out")
        module, specs = program.load(Path(model))
        specs, label = tuple(inputs) or specs, own_weights.label(Path(model))
    else:
        module, specs = factory.make(model), tuple(inputs)
        label = f"factory:{model}:seed:{factory.SEED}"
    if not specs:
        raise InputError(f"{model} needs its inputs; say them as --input 1,3,224,224")
    found = Network(model, module, label, maker(specs), calibration_batch=1)
    if weights is not None:
        label = own_weights.load_into(module, Path(weights))
    _check_runs(found)
    if weights is None and calibrate_untrained(found):
        label += ":calibrated-batchnorm"
    return replace(found, weights=label)


def _check_runs(network: Network) -> None:
    example_inputs = network.example_inputs()
    shapes = ", ".join(str(tuple(each.shape)) for each in example_inputs)
    with sentence(f"{network.name} does not run on inputs of shape {shapes}"), torch.no_grad():
        answer = network.module(*example_inputs)
    tensors = [leaf for leaf in tree_leaves(answer) if isinstance(leaf, Tensor)]
    if not tensors:
        raise InputError(f"{network.name} answers a {type(answer).__name__} without a tensor in it")
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        raise InputError(f"{network.name} answers values that are not finite on synthetic inputs")


def calibrate_untrained(network: Network) -> bool:
    """Calibrate a network all of whose BatchNorm layers are as built, and whether there were."""
    layers = [layer for layer in network.module.modules() if isinstance(layer, _BatchNorm)]
    if not layers or not all(_is_as_built(layer) for layer in layers):
        return False
    before = copy.deepcopy(network.module.state_dict())
    try:
        calibrate_batchnorm(network.module, network.example_inputs)
    except Exception:  # it may take no other batch than its own; then it stays as it was built
        network.module.load_state_dict(before)
        network.module.eval()
        return False
    return True


def _is_as_built(layer: _BatchNorm) -> bool:
    mean, variance = layer.running_mean, layer.running_var
    if mean is None or variance is None:
        return False
    return bool((mean == 0).all()) and bool((variance == 1).all())


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
    try:
        # Sums over several threads differ in their last bits, and these become weights.
        with torch.no_grad(), _one_thread():
            for batch in range(_CALIBRATION_BATCHES if layers else 0):
                module(*example_inputs(_CALIBRATION_BATCH, _CALIBRATION_SEED + batch))
    finally:
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
