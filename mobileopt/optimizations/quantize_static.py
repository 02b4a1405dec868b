"""Post-training static int8 quantization of weights and activations.

A model annotated with QuantStub and DeQuantStub goes through eager mode, as in PyTorch's mobile
recipe; any other goes through FX graph mode, which places the conversions itself and can add
quantized tensors (eager mode's QuantWrapper cannot, so it fails on every residual network).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao import quantization as ao
from torch.ao.nn import quantized as nnq
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from mobileopt.errors import CombinationError
from mobileopt.optimizations._relu6 import saturate_relu6
from mobileopt.optimizations.result import Result
from mobileopt.quantized_engine import engine as quantized_engine

Batches = Iterable[tuple[Tensor, ...]]
_Convert = Callable[[Any], nn.Module]


def apply(
    module: nn.Module, example_inputs: tuple[Tensor, ...], *, engine: str, calibration: Batches
) -> Result:
    """Quantize for `engine` with activation ranges observed over the `calibration` batches.

    `left` names every layer with weights that stayed float. The result answers rightly only
    under the same engine. Raises CapabilityError when this torch lacks the engine and
    CombinationError when torch cannot quantize this model, or finds nothing in it to quantize.
    """
    with quantized_engine(engine), torch.no_grad():
        prepare = _prepare_eager if _is_annotated(module) else _prepare_fx
        observed, convert = prepare(copy.deepcopy(module).eval(), example_inputs, engine)
        for batch in calibration:
            observed(*batch)
        quantized = convert(observed)
    if not (layers := _quantized_layers(quantized)):
        raise CombinationError("the model has no layer that static int8 can quantize")
    return Result(quantized, layers, _float_layers(quantized))


def _is_annotated(module: nn.Module) -> bool:
    return any(isinstance(layer, ao.QuantStub) for layer in module.modules())


def _prepare_eager(
    module: Any, _inputs: tuple[Tensor, ...], engine: str
) -> tuple[nn.Module, _Convert]:
    module.qconfig = ao.get_default_qconfig(engine)
    return ao.prepare(module), _convert_eager


def _convert_eager(observed: nn.Module) -> nn.Module:
    quantized = ao.convert(observed)
    for layer in quantized.modules():
        if isinstance(layer, nnq.BatchNorm2d):
            _make_scalars(layer)
    return quantized


def _make_scalars(layer: Any) -> None:
    # torch leaves these in shape (1,), which TorchScript cannot read as a number.
    layer.scale = layer.scale.reshape(())
    layer.zero_point = layer.zero_point.reshape(())


def _prepare_fx(
    module: nn.Module, inputs: tuple[Tensor, ...], engine: str
) -> tuple[nn.Module, _Convert]:
    try:
        graph = torch.fx.symbolic_trace(module)
    except Exception as error:  # tracing runs the model's own Python, which can raise anything
        raise CombinationError(
            "the model cannot be quantized: it has no QuantStubs and FX cannot trace it "
            f"({str(error).splitlines()[0]})"
        ) from error
    _erase_identities(graph)
    if engine == "qnnpack":
        saturate_relu6(graph)
    return prepare_fx(graph, ao.get_default_qconfig_mapping(engine), inputs), convert_fx


def _erase_identities(graph: torch.fx.GraphModule) -> None:
    # Eager fusion leaves them in place of what it fused, and they hide conv-relu from prepare_fx.
    for node in list(graph.graph.nodes):
        if node.op == "call_module" and type(graph.get_submodule(str(node.target))) is nn.Identity:
            node.replace_all_uses_with(node.all_input_nodes[0])
            graph.graph.erase_node(node)
    graph.recompile()


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
