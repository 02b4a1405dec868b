"""Post-training static int8 quantization of an exported graph (PT2E) for ExecuTorch's XNNPACK.

Weights symmetric per output channel, activations affine per tensor, as XNNPACKQuantizer places
them; the result holds quantize and dequantize operators which the XNNPACK partitioner turns into
int8 kernels. PT2E left torch for torchao, which comes with ExecuTorch.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn

from mobileopt import capabilities
from mobileopt.errors import CapabilityError, CombinationError
from mobileopt.optimizations._tracing import one_line
from mobileopt.optimizations.result import Result

Batches = Iterable[tuple[Tensor, ...]]


def apply(module: nn.Module, example_inputs: tuple[Tensor, ...], *, calibration: Batches) -> Result:
    """Quantize with activation ranges observed over the `calibration` batches.

    The result takes inputs of the examples' shapes only; calibration batches of another size are
    regrouped. `left` names every layer with weights that stayed float. Raises CapabilityError
    without ExecuTorch or torchao, CombinationError when torch.export or PT2E cannot take the model.
    """
    if reason := capabilities.executorch() or capabilities.torchao():
        raise CapabilityError(reason)
    with torch.no_grad():
        quantized = _quantized(copy.deepcopy(module).eval(), example_inputs, calibration)
    layers = dict(_layers(quantized))
    return Result(
        quantized,
        tuple(name for name, is_int8 in layers.items() if is_int8),
        {
            name: "XNNPACKQuantizer has no int8 kernel for it in this place and it stays float"
            for name, is_int8 in layers.items()
            if not is_int8
        },
    )


def _quantized(module: nn.Module, inputs: tuple[Tensor, ...], calibration: Batches) -> Any:
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    config = get_symmetric_quantization_config(is_per_channel=True)
    try:
        graph: Any = torch.export.export(module, inputs).module()
        observed = prepare_pt2e(graph, XNNPACKQuantizer().set_global(config))
        for batch in regrouped(calibration, inputs[0].shape[0]):
            observed(*batch)
        return convert_pt2e(observed)
    except Exception as error:  # exporting runs the model's own Python, which can raise anything
        raise CombinationError(f"PT2E cannot quantize the model: {one_line(error)}") from error


def regrouped(batches: Batches, size: int) -> Iterator[tuple[Tensor, ...]]:
    """The same rows, in the same order, in batches of `size`; the last is filled from the first.

    An exported graph takes one batch size alone. Batches that have it stay as they are; in
    others every input has its rows along dimension 0.
    """
    batches = list(batches)
    if all(batch[0].shape[0] == size for batch in batches):
        yield from batches
        return
    columns = [torch.cat(column) for column in zip(*batches, strict=True)]
    rows = columns[0].shape[0]
    for start in range(0, rows, size):
        chosen = torch.arange(start, start + size) % rows
        yield tuple(column[chosen] for column in columns)


def _layers(graph: fx.GraphModule) -> Iterator[tuple[str, bool]]:
    """Each layer with weights by its path in the model, and whether it became int8."""
    for node in graph.graph.nodes:
        if node.op == "call_function" and _has_weights(node):
            yield _path(node), all(map(_is_dequantized, node.args[:2]))


def _has_weights(node: fx.Node) -> bool:
    name = str(node.target).removeprefix("aten.")
    return name.startswith(("conv", "linear", "lstm", "gru", "rnn"))


def _path(node: fx.Node) -> str:
    # A conv that swallowed a BatchNorm, or that is called by function, keeps its caller's path.
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return stack[-1][0] or node.name if stack else node.name


def _is_dequantized(value: object) -> bool:
    return isinstance(value, fx.Node) and "dequantize" in str(value.target)
