"""Post-training static int8 quantization of weights and activations.

A model annotated with QuantStub and DeQuantStub goes through eager mode, as in PyTorch's mobile
recipe; any other goes through FX graph mode, which places the conversions itself and can add
quantized tensors (eager mode's QuantWrapper cannot, so it fails on every residual network).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao import quantization as ao
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx
from torch.fx.proxy import TraceError

from mobileopt.errors import CombinationError
from mobileopt.optimizations.result import Result
from mobileopt.quantized_engine import engine as quantized_engine

Batches = Iterable[tuple[Tensor, ...]]


def apply(
    module: nn.Module, example_inputs: tuple[Tensor, ...], *, engine: str, calibration: Batches
) -> Result:
    """Quantize for `engine` with activation ranges observed over the `calibration` batches.

    `left` names every layer with weights that stayed float. The result answers rightly only
    under the same engine. Raises CapabilityError when this torch lacks the engine and
    CombinationError when torch cannot quantize this model.
    """
    with quantized_engine(engine), torch.no_grad():
        prepare = _prepare_eager if _is_annotated(module) else _prepare_fx
        observed, convert = prepare(copy.deepcopy(module).eval(), example_inputs, engine)
        for batch in calibration:
            observed(*batch)
        quantized = convert(observed)
    return Result(quantized, _quantized_layers(quantized), _float_layers(quantized))


def _is_annotated(module: nn.Module) -> bool:
    return any(isinstance(layer, ao.QuantStub) for layer in module.modules())


def _prepare_eager(module: nn.Module, _inputs: tuple[Tensor, ...], engine: str) -> tuple[Any, Any]:
    configured: Any = module
    configured.qconfig = ao.get_default_qconfig(engine)
    return ao.prepare(configured), ao.convert


def _prepare_fx(module: nn.Module, inputs: tuple[Tensor, ...], engine: str) -> tuple[Any, Any]:
    try:
        mapping = ao.get_default_qconfig_mapping(engine)
        return prepare_fx(module, mapping, inputs), convert_fx
    except (TraceError, NotImplementedError, TypeError) as error:
        raise CombinationError(
            "the model cannot be quantized: it has no QuantStubs and FX cannot trace it "
            f"({str(error).splitlines()[0]})"
        ) from error


def _quantized_layers(module: nn.Module) -> tuple[str, ...]:
    return tuple(name for name, layer in module.named_modules() if _is_quantized(layer))


def _is_quantized(layer: nn.Module) -> bool:
    return ".quantized" in type(layer).__module__ and hasattr(layer, "weight")


def _float_layers(module: nn.Module) -> dict[str, str]:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.modules.conv._ConvTransposeNd)
    return {
        name: f"{type(layer).__name__} has no int8 kernel in this configuration and stays float"
        for name, layer in module.named_modules()
        if isinstance(layer, kinds)
    }
