"""ReLU6 under qnnpack, whose clamp answers wrongly for channels-last tensors.

`quantized.clamp` (ReLU6, Hardtanh) under the qnnpack engine writes its channels-last input's
values into a tensor with contiguous strides: every value right, each in the wrong place, no
warning. Every quantized convolution answers in channels-last, so every ReLU6 of MobileNetV2 is
hit. Seen with torch 2.12.1.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, fx, nn
from torch.nn.functional import relu6
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd


def saturate_relu6(graph: fx.GraphModule) -> None:
    """Keep qnnpack's clamp away from channels-last tensors, in place, before observers.

    After a convolution the ReLU6 becomes one ReLU fused into it: during calibration it still
    clamps at 6, so its observed range ends there at the latest, and int8 saturation clamps for
    nothing (Jacob et al. 2018, section 2.4). Anywhere else the tensor is made contiguous first.
    """
    for node in list(graph.graph.nodes):
        if _is_relu6(graph, node):
            if _is_fusible(graph, node):
                _set_module(graph, str(node.target), _calibrating_relu())
            else:
                _make_contiguous(graph, node)
    graph.recompile()


def _is_relu6(graph: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(graph.get_submodule(str(node.target)), nn.Hardtanh)
    return node.op == "call_function" and node.target in _CLAMPS


_CLAMPS = (relu6, nn.functional.hardtanh)


def _is_fusible(graph: fx.GraphModule, node: fx.Node) -> bool:
    is_module = node.op == "call_module" and type(graph.get_submodule(str(node.target))) is nn.ReLU6
    return is_module and _follows_convolution(graph, node.args[0])


def _follows_convolution(graph: fx.GraphModule, source: object) -> bool:
    if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
        return False
    layer = graph.get_submodule(str(source.target))
    if isinstance(layer, _BatchNorm):
        return _follows_convolution(graph, source.args[0])
    return isinstance(layer, _ConvNd)


def _calibrating_relu() -> nn.ReLU:
    relu: Any = nn.ReLU()
    relu.forward = _relu6  # the exact type nn.ReLU is what prepare_fx fuses
    return relu.eval()


def _relu6(x: Tensor) -> Tensor:
    return relu6(x)


def _set_module(graph: fx.GraphModule, target: str, module: nn.Module) -> None:
    parent, _, name = target.rpartition(".")
    setattr(graph.get_submodule(parent), name, module)


def _make_contiguous(graph: fx.GraphModule, node: fx.Node) -> None:
    source = node.args[0]
    with graph.graph.inserting_before(node):
        node.update_arg(0, graph.graph.call_method("contiguous", (source,)))
