"""Which nodes of a graph are layers with weights, which are normalisations, and of what.

A layer or a normalisation is a module's call or a function's; either way it is described by its
tensors and, where it must stay as it is, by its obstacle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm
from torchvision.ops import FrozenBatchNorm2d

from mobileopt.optimizations._tracing import has_hooks
from mobileopt.optimizations.fold_conv_bn.affine import Affine, Weights, affine
from mobileopt.optimizations.fold_conv_bn.nodes import (
    OBSTACLE,
    arguments,
    attribute,
    name_of,
)

COMPUTED = "that forward computes"
"""In the reason of what an export may see through: constants only `forward` knows of."""

LAYERS: dict[type[nn.Module], int] = {
    nn.Conv1d: 3,
    nn.Conv2d: 4,
    nn.Conv3d: 5,
    nn.ConvTranspose1d: 3,
    nn.ConvTranspose2d: 4,
    nn.ConvTranspose3d: 5,
    nn.Linear: 2,
}
"""Each layer's rank of output at which its channels are axis 1, where BatchNorm has them."""

NORMS: tuple[type[nn.Module], ...] = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    FrozenBatchNorm2d,
)

_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = (*_CONV[:5], "output_padding", "groups", "dilation")
_aten = torch.ops.aten
_LAYER_FUNCTIONS: dict[Any, tuple[int, tuple[str, ...]]] = {
    F.linear: (2, _CONV[:3]),
    torch.conv1d: (3, _CONV),
    torch.conv2d: (4, _CONV),
    torch.conv3d: (5, _CONV),
    torch.conv_transpose1d: (3, _TRANSPOSED),
    torch.conv_transpose2d: (4, _TRANSPOSED),
    torch.conv_transpose3d: (5, _TRANSPOSED),
    _aten.linear.default: (2, _CONV[:3]),
    _aten.conv1d.default: (3, _CONV),
    _aten.conv2d.default: (4, _CONV),
    _aten.conv3d.default: (5, _CONV),
    _aten.conv1d.padding: (3, _CONV),
    _aten.conv2d.padding: (4, _CONV),
    _aten.conv3d.padding: (5, _CONV),
    _aten.conv_transpose1d.default: (3, _TRANSPOSED),
    _aten.conv_transpose2d.input: (4, _TRANSPOSED),
    _aten.conv_transpose3d.input: (5, _TRANSPOSED),
}
_STATISTICS = ("running_mean", "running_var")
_NORM = ("input", "weight", "bias", *_STATISTICS, "training", "momentum", "eps")
_NORM_FUNCTIONS: dict[Any, tuple[str, ...]] = {
    F.batch_norm: ("input", *_STATISTICS, "weight", "bias", "training", "momentum", "eps"),
    torch.batch_norm: _NORM,
    _aten.batch_norm.default: _NORM,
}
_DROPOUTS: dict[Any, tuple[str, bool]] = {
    F.dropout: ("training", True),
    F.dropout1d: ("training", True),
    F.dropout2d: ("training", True),
    F.dropout3d: ("training", True),
    F.alpha_dropout: ("training", False),
    F.feature_alpha_dropout: ("training", False),
    _aten.dropout.default: ("train", True),
    _aten.feature_dropout.default: ("train", True),
    _aten.alpha_dropout.default: ("train", True),
    _aten.feature_alpha_dropout.default: ("train", True),
}
_WEIGHT_HOOKS = (WeightNorm, SpectralNorm, prune.BasePruningMethod)


@dataclass(frozen=True)
class Layer:
    """A call of a convolution or a linear layer.

    `sources` are the tensors its weight comes from, `spec` is equal for two calls that do the
    same to their inputs, `pads_zeros` says that it sees zeros its input does not hold.
    """

    node: fx.Node
    name: str
    weights: Weights
    sources: tuple[Tensor, ...]
    spec: tuple[Any, ...]
    rank: int
    pads_zeros: bool
    obstacle: str | None = None


@dataclass(frozen=True)
class Norm:
    """A call of a batch normalisation; `tensors` are mean, variance, weight and bias.

    `rank` is the number of axes at which its channels are the second one, None for any.
    """

    node: fx.Node
    name: str
    tensors: tuple[Tensor | None, ...]
    eps: float
    rank: int | None = None
    obstacle: str | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for two calls that do the same to their inputs."""
        return (*map(id, self.tensors), self.eps)

    def affine(self) -> Affine:
        """The map it is in evaluation; only without an obstacle."""
        mean, variance, weight, bias = self.tensors
        assert mean is not None
        assert variance is not None
        return affine(mean, variance, weight, bias, self.eps)


def is_leaf(module: nn.Module) -> bool:
    """Whether to keep a module whole in a trace: its call is a layer's or a normalisation's."""
    return layer_type(module) is not None or is_norm(module)


def is_norm(module: nn.Module) -> bool:
    """A batch normalisation, or a subclass that computes the same."""
    forwards = (_BatchNorm.forward, nn.SyncBatchNorm.forward, FrozenBatchNorm2d.forward)
    return isinstance(module, NORMS) and type(module).forward in forwards


def layer_type(module: nn.Module) -> type[nn.Module] | None:
    """The class of torch whose computation `module` does, or None."""
    for base in LAYERS:
        if isinstance(module, base):
            methods = ("forward", "_conv_forward", "_output_padding")
            same = (getattr(type(module), m, 0) is getattr(base, m, 0) for m in methods)
            return base if all(same) and not set(methods[1:]) & set(vars(module)) else None
    return None


def layer_of(graph: fx.GraphModule, node: fx.Node) -> Layer | None:
    """The layer a node calls, or None. `OBSTACLE` in the node's `meta` is an obstacle too."""
    layer = None
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        base = layer_type(module)
        layer = _module_layer(node, module, base) if base else None
    elif node.op == "call_function" and node.target in _LAYER_FUNCTIONS:
        layer = _function_layer(graph, node)
    return replace(layer, obstacle=node.meta.get(OBSTACLE) or layer.obstacle) if layer else None


def norm_of(graph: fx.GraphModule, node: fx.Node) -> Norm | None:
    """The batch normalisation a node calls, or None. `OBSTACLE` is as in `layer_of`."""
    norm = None
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        norm = _module_norm(node, module) if is_norm(module) else None
    elif node.op == "call_function" and node.target in _NORM_FUNCTIONS:
        norm = _function_norm(graph, node)
    return replace(norm, obstacle=node.meta.get(OBSTACLE) or norm.obstacle) if norm else None


def passes_through(graph: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node returns its input unchanged: Identity, or Dropout in evaluation."""
    if node.op == "call_module":
        module = graph.get_submodule(str(node.target))
        dropout = isinstance(module, _DropoutNd) and not module.training
        known = type(module).__module__.startswith("torch.nn.modules")
        return (dropout or type(module) is nn.Identity) and known and not has_hooks(module)
    if node.op == "call_function" and node.target in _DROPOUTS:
        name, default = _DROPOUTS[node.target]
        return arguments(node, ("input", "p", name)).get(name, default) is False
    return False


def takes_constants(node: fx.Node) -> list[fx.Node]:
    """The weights, biases and statistics a function's call takes; none of any other node."""
    names = _NORM_FUNCTIONS.get(node.target) or _LAYER_FUNCTIONS.get(node.target, (0, ()))[1]
    given = arguments(node, names) if names else {}
    taken = [given.get(name) for name in ("weight", "bias", *_STATISTICS)]
    return [each for each in taken if isinstance(each, fx.Node)]


def _module_layer(node: fx.Node, module: Any, base: type[nn.Module]) -> Layer:
    obstacle = _module_obstacle(module)
    weight = torch.empty(0) if obstacle else _weight(module)
    name = name_of(node)
    bias = module._parameters.get("bias")
    tensors = (*module.parameters(), *module.buffers())
    sources = tuple(t for t in tensors if t is not bias)
    transposed = "Transpose" in base.__name__
    return Layer(
        node=node,
        name=name,
        weights=Weights(weight, bias, transposed, getattr(module, "groups", 1)),
        sources=sources,
        spec=(name, str(node.args[1:]), str(dict(node.kwargs, input=None))),
        rank=LAYERS[base],
        pads_zeros=base is not nn.Linear and not transposed and _pads_zeros(module),
        obstacle=obstacle or _tensor_obstacle(weight),
    )


def _module_obstacle(module: nn.Module) -> str | None:
    hooks = list(module._forward_pre_hooks.values())
    if has_hooks(module) and not only_weight_hooks(module):
        return "has hooks, which see its output"
    derived = bool(hooks) or parametrize.is_parametrized(module)
    if derived and any(child.training for child in module.modules()):
        return "computes its weight anew in training mode"
    if parametrize.is_parametrized(module, "bias"):
        return "has a parametrized bias"
    return None


def only_weight_hooks(module: nn.Module) -> bool:
    """Only the older weight_norm and spectral_norm, and pruning: each sets `weight`."""
    others = (module._forward_hooks, module._backward_hooks, module._backward_pre_hooks)
    if "forward" in vars(module) or any(others):
        return False
    hooks = module._forward_pre_hooks.values()
    names = [getattr(h, "name", getattr(h, "_tensor_name", "")) for h in hooks]
    return all(isinstance(h, _WEIGHT_HOOKS) for h in hooks) and set(names) == {"weight"}


def _weight(module: Any) -> Tensor:
    with torch.no_grad():
        for hook in module._forward_pre_hooks.values():
            hook(module, ())
        return module.weight


def _tensor_obstacle(weight: Tensor) -> str | None:
    plain = type(weight) in (Tensor, nn.Parameter) and weight.layout is torch.strided
    if not plain or not weight.is_floating_point() or weight.is_meta:
        return f"has a weight that is no plain floating-point tensor but {type(weight).__name__}"
    return None


def _pads_zeros(module: Any) -> bool:
    if module.padding_mode != "zeros":
        return False
    if isinstance(module.padding, str):
        return any(module._reversed_padding_repeated_twice)
    return any(module.padding)


def _function_layer(graph: fx.GraphModule, node: fx.Node) -> Layer:
    rank, names = _LAYER_FUNCTIONS[node.target]
    given = arguments(node, names)
    weight, bias = (attribute(graph, given.get(each)) for each in ("weight", "bias"))
    groups = given.get("groups", 1)
    obstacle = None
    if weight is None or (bias is None) != (given.get("bias") is None):
        obstacle = f"has a weight or a bias {COMPUTED}"
    elif not isinstance(groups, int):
        obstacle = f"has a number of groups {COMPUTED}"
    transposed = "output_padding" in names
    weight = torch.empty(0) if weight is None else weight
    rest = {k: getattr(v, "target", v) for k, v in given.items() if k != "input"}
    return Layer(
        node=node,
        name=_owner(given.get("weight"), node),
        weights=Weights(weight, bias, transposed, groups if isinstance(groups, int) else 1),
        sources=(weight,),
        spec=(node.target, str(rest)),
        rank=rank,
        pads_zeros=not transposed and rank > 2 and not _is_zero(given.get("padding", 0)),
        obstacle=obstacle or _tensor_obstacle(weight),
    )


def _is_zero(padding: Any) -> bool:
    each = padding if isinstance(padding, (tuple, list)) else (padding,)
    return padding == "valid" or all(value == 0 for value in each)


def _module_norm(node: fx.Node, module: Any) -> Norm:
    names = (*_STATISTICS, "weight", "bias")
    tensors = tuple(getattr(module, name) for name in names)
    obstacle = None
    if has_hooks(module):
        obstacle = "has hooks, which see its input or output"
    elif parametrize.is_parametrized(module):
        obstacle = "is parametrized"
    elif module.training and not isinstance(module, FrozenBatchNorm2d):
        obstacle = "is in training mode: it normalises by the batch"
    norm = _norm(node, name_of(node), tensors, module.eps, obstacle)
    # It multiplies by (1, C, 1, 1), which fits inputs of five axes too, on another axis.
    return replace(norm, rank=4) if isinstance(module, FrozenBatchNorm2d) else norm


def _function_norm(graph: fx.GraphModule, node: fx.Node) -> Norm:
    given = arguments(node, _NORM_FUNCTIONS[node.target])
    names = (*_STATISTICS, "weight", "bias")
    tensors = tuple(attribute(graph, given.get(name)) for name in names)
    obstacle = None
    if given.get("training", False) is not False:
        obstacle = "is in training mode: it normalises by the batch"
    elif any(t is None and given.get(n) is not None for t, n in zip(tensors, names, strict=True)):
        obstacle = f"has statistics or weights {COMPUTED}"
    eps = given.get("eps", 1e-5)
    if not isinstance(eps, (int, float)):
        obstacle = f"has an eps {COMPUTED}"
    return _norm(node, _owner(given.get("running_mean"), node), tensors, eps, obstacle)


def _norm(
    node: fx.Node, name: str, tensors: tuple[Any, ...], eps: Any, obstacle: str | None
) -> Norm:
    if obstacle is None and (tensors[0] is None or tensors[1] is None):
        obstacle = "keeps no running statistics: it normalises by the batch"
    return Norm(node, name, tensors, eps, obstacle=obstacle)


def _owner(tensor: Any, node: fx.Node) -> str:
    """A function's call is known by the module whose tensor it reads, if it reads one's."""
    if isinstance(tensor, fx.Node) and tensor.op == "get_attr" and "." in str(tensor.target):
        return str(tensor.target).rpartition(".")[0]
    return node.name
