"""Folding on a graph: which normalisation can go into which layer, and the rewriting of it.

The rule: every call that reads a layer's weight must be followed (or preceded) by the same
normalisation and nothing else; then, and only then, the weight is replaced for all of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx, nn

from mobileopt.optimizations._tracing import Shapes, storage
from mobileopt.optimizations.fold_conv_bn.affine import (
    Unfoldable,
    Weights,
    fold_after,
    fold_before,
)
from mobileopt.optimizations.fold_conv_bn.calls import (
    Layer,
    Norm,
    layer_of,
    layer_type,
    norm_of,
    passes_through,
)
from mobileopt.optimizations.fold_conv_bn.nodes import arguments, input_of, name_of, tensors_of

_METADATA = {"shape", "dtype", "device", "ndim", "size", "dim", "numel"}


@dataclass
class Account:
    """Names of normalisations: calls folded, and the reason each other call was left."""

    folded: list[str] = field(default_factory=list[str])
    left: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class _Site:
    """A graph being rewritten: what flows through it, and who reads each tensor it holds."""

    graph: fx.GraphModule
    shapes: Shapes
    readers: dict[int, set[fx.Node]]
    before: bool


def fold(graph: fx.GraphModule, shapes: Shapes, before: bool = True) -> Account:
    """Fold what can be folded in place. `shapes` are of the same graph, by name of node.

    `before` says whether a normalisation may go into the layer after it: that moves the layer.
    """
    site = _Site(graph, shapes, _readers(graph), before)
    account = Account()
    while _fold_once(site, account):
        pass
    for node in reversed(list(graph.graph.nodes)):
        if node.op == "get_attr" and not node.users:
            graph.graph.erase_node(node)
    graph.graph.lint()
    return account


def _fold_once(site: _Site, account: Account) -> bool:
    """One pass over the normalisations; whether any was folded."""
    account.left.clear()
    before = len(account.folded)
    for node in list(site.graph.graph.nodes):
        norm = None if node._erased else norm_of(site.graph, node)
        if norm is None:
            continue
        try:
            account.folded += _fold(site, norm)
        except Unfoldable as reason:
            account.left[norm.name] = str(reason)
    return len(account.folded) > before


def _readers(graph: fx.GraphModule) -> dict[int, set[fx.Node]]:
    readers: dict[int, set[fx.Node]] = defaultdict(set)
    for node in graph.graph.nodes:
        for address in tensors_of(graph, node):
            readers[address].add(node)
    return readers


def _fold(site: _Site, norm: Norm) -> list[str]:
    """The names of the normalisations folded: this one, once for every call of its layer."""
    if norm.obstacle:
        raise Unfoldable(norm.obstacle)
    _check_constant(site, norm.tensors, "its weights or statistics are")
    source = _back(site, input_of(norm.node))
    ways: list[tuple[Any, fx.Node | None]] = [(_fold_after, source)]
    if site.before:
        ways.append((_fold_before, _sole_user(site, norm.node)))
    reason: Unfoldable | None = None
    for way, node in ways:
        layer = layer_of(site.graph, node) if node is not None else None
        try:
            if layer is not None:
                return way(site, norm, layer)
        except Unfoldable as found:
            reason = reason or found
    raise reason or Unfoldable(
        f"its input comes from {_described(site, source)}, not from a layer alone"
    )


def _fold_after(site: _Site, norm: Norm, layer: Layer) -> list[str]:
    calls = _calls(site, layer)
    norms = [_norm_after(site, norm, call) for call in calls]
    for call, each in zip(calls, norms, strict=True):
        _check_flow(site, call.node, each, call.rank)
    affine = norm.affine()
    _check_channels(norm, affine.channels, layer.weights.out_channels)
    _replace(site, calls, fold_after(layer.weights, affine))
    return [_bypass(each) for each in norms]


def _fold_before(site: _Site, norm: Norm, layer: Layer) -> list[str]:
    calls = _calls(site, layer)
    norms = [_norm_before(site, norm, call) for call in calls]
    for call, each in zip(calls, norms, strict=True):
        _check_flow(site, input_of(each.node), each, call.rank)
        _check_movable(call)
    affine = norm.affine()
    _check_channels(norm, affine.channels, layer.weights.in_channels)
    if layer.pads_zeros and affine.shifts:
        raise Unfoldable(f"{layer.name!r} pads it with zeros, and its shift is not 0")
    _replace(site, calls, fold_before(layer.weights, affine))
    for call, each in zip(calls, norms, strict=True):
        _move_up(call.node, each.node)
    return [_bypass(each) for each in norms]


def _calls(site: _Site, layer: Layer) -> list[Layer]:
    """All calls that read the layer's weight; raises Unfoldable where one is not like it."""
    if layer.obstacle:
        raise Unfoldable(f"{layer.name!r} {layer.obstacle}")
    _check_constant(site, (layer.weights.bias,), f"the bias of {layer.name!r} is")
    nodes = {n for tensor in layer.sources for n in site.readers[storage(tensor)]}
    calls: list[Layer] = []
    for node in sorted(n for n in nodes if not n._erased and not _reads_metadata(n)):
        call = layer_of(site.graph, node)
        if call is None or call.spec != layer.spec:
            raise Unfoldable(
                f"the weight of {layer.name!r} is also read by {_described(site, node)}"
            )
        calls.append(call)
    return calls


def _norm_after(site: _Site, norm: Norm, call: Layer) -> Norm:
    user = _sole_user(site, call.node)
    found = norm_of(site.graph, user) if user is not None else None
    if found is not None and found.key == norm.key and not found.obstacle:
        return found
    if found is None and call.node is _back(site, input_of(norm.node)):
        raise Unfoldable(f"the output of {call.name!r} is used elsewhere too")
    raise Unfoldable(f"{call.name!r} is also called without it")


def _norm_before(site: _Site, norm: Norm, call: Layer) -> Norm:
    source = _back(site, input_of(call.node))
    found = norm_of(site.graph, source) if source is not None else None
    if found is None or found.key != norm.key or found.obstacle:
        raise Unfoldable(f"{call.name!r} is also called without it")
    if _sole_user(site, found.node) is not call.node:
        raise Unfoldable("its output is used elsewhere too")
    return found


def _back(site: _Site, node: Any) -> fx.Node | None:
    """Up through what returns its input unchanged."""
    while isinstance(node, fx.Node) and passes_through(site.graph, node):
        node = input_of(node)
    return node if isinstance(node, fx.Node) else None


def _sole_user(site: _Site, node: fx.Node) -> fx.Node | None:
    """Down to the one user of a node, through what returns its input unchanged."""
    while len(node.users) == 1:
        user = next(iter(node.users))
        if input_of(user) is not node or user.op == "output":
            return None
        if not passes_through(site.graph, user):
            return user
        node = user
    return None


def _check_constant(site: _Site, tensors: tuple[Tensor | None, ...], whose: str) -> None:
    """Nothing but layers and normalisations in evaluation may read them: others may write."""
    for tensor in (t for t in tensors if t is not None):
        for node in site.readers[storage(tensor)]:
            if not (node._erased or _reads_metadata(node) or _is_pure(site, node)):
                raise Unfoldable(f"{whose} also read by {_described(site, node)}")


def _is_pure(site: _Site, node: fx.Node) -> bool:
    call = layer_of(site.graph, node) or norm_of(site.graph, node)
    return call is not None and not call.obstacle


def _reads_metadata(node: fx.Node) -> bool:
    if node.op == "call_method":
        return node.target in _METADATA
    return node.op == "call_function" and node.target is getattr and node.args[1] in _METADATA


def _check_flow(site: _Site, into: Any, norm: Norm, rank: int) -> None:
    """What goes through must have its channels where both look for them, and keep its dtype."""
    shape, dtype = site.shapes.get(getattr(into, "name", ""), ((), None))
    if len(shape) != rank:
        raise Unfoldable(
            f"its input has {len(shape)} axes, not the {rank} at which the layer's channels "
            "are the second one"
        )
    if norm.rank not in (None, rank):
        raise Unfoldable(f"it is made for {norm.rank} axes, and its input has {rank}")
    if site.shapes.get(norm.node.name) != (shape, dtype):
        raise Unfoldable(f"it changes the dtype or shape of its input, {dtype} {tuple(shape)}")


def _check_channels(norm: Norm, found: int, wanted: int) -> None:
    if found != wanted:
        raise Unfoldable(f"it has {found} channels and the layer {wanted}")


def _check_movable(call: Layer) -> None:
    others = [n for n in call.node.all_input_nodes if n is not input_of(call.node)]
    if any(n.op != "get_attr" for n in others):
        raise Unfoldable(f"{call.name!r} takes an argument that forward computes")


def _move_up(call: fx.Node, norm: fx.Node) -> None:
    """Compute the layer where the normalisation was: its input may be overwritten in between."""
    chain, node = [call], input_of(call)
    while node is not norm:
        chain.append(node)
        node = input_of(node)
    for each in chain:
        norm.append(each)
        for other in each.all_input_nodes:
            if other.op == "get_attr":
                norm.prepend(other)


def _bypass(norm: Norm) -> str:
    norm.node.replace_all_uses_with(input_of(norm.node))
    norm.node.graph.erase_node(norm.node)
    return norm.name


def _replace(site: _Site, calls: list[Layer], weights: Weights) -> None:
    if calls[0].node.op == "call_module":
        path = str(calls[0].node.target)
        set_module(site.graph, path, _plain(site.graph.get_submodule(path), weights))
    else:
        _replace_functions(site, calls, weights)
    for tensor in (weights.weight, weights.bias):
        if tensor is not None:
            site.readers[storage(tensor)] = {call.node for call in calls}


def set_module(model: nn.Module, path: str, module: nn.Module) -> None:
    """Put `module` in the place of the one at `path`."""
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def _plain(module: Any, weights: Weights) -> nn.Module:
    """A module of torch's own class with new weights, otherwise as `module`."""
    base = layer_type(module)
    assert base is not None
    kind: Any = base
    bias = weights.bias is not None
    if base is nn.Linear:
        new = kind(module.in_features, module.out_features, bias, device="meta")
    else:
        names = ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation"]
        names += ["groups", "padding_mode"] + ["output_padding"] * weights.transposed
        given = {name: getattr(module, name) for name in names}
        new = kind(**given, bias=bias, device="meta")
        new._reversed_padding_repeated_twice = module._reversed_padding_repeated_twice
    learns = any(parameter.requires_grad for parameter in module.parameters())
    new.weight = nn.Parameter(weights.weight, learns)
    if weights.bias is not None:
        new.bias = nn.Parameter(weights.bias, learns)
    return new.train(module.training)


def _replace_functions(site: _Site, calls: list[Layer], weights: Weights) -> None:
    learns = any(tensor.requires_grad for tensor in calls[0].sources)
    names = {"weight": _add(site.graph, calls[0], "weight", weights.weight, learns)}
    if weights.bias is not None:
        names["bias"] = _add(site.graph, calls[0], "bias", weights.bias, learns)
    for call in calls:
        with site.graph.graph.inserting_before(call.node):
            new = {key: site.graph.graph.get_attr(name) for key, name in names.items()}
        _set_arguments(call.node, new)


def _set_arguments(node: fx.Node, new: dict[str, fx.Node]) -> None:
    """Weight and bias are the second and third argument of every function there is."""
    first = ("input", "weight", "bias")
    given = arguments(node, first) | new
    kept = {name: value for name, value in node.kwargs.items() if name not in first}
    node.args = (given["input"], given["weight"], given.get("bias"), *node.args[3:])
    node.kwargs = kept


def _add(graph: fx.GraphModule, call: Layer, what: str, tensor: Tensor, learns: bool) -> str:
    stem = f"folded_{call.name.replace('.', '_')}_{what}"
    name, number = stem, 1
    while hasattr(graph, name):
        name, number = f"{stem}_{number}", number + 1
    graph.register_parameter(name, nn.Parameter(tensor, learns))
    return name


def _described(site: _Site, node: fx.Node | None) -> str:
    if node is None:
        return "a constant"
    if node.op == "placeholder":
        return f"the model's input {str(node.target)!r}"
    if node.op == "output":
        return "the model's output"
    if node.op == "call_module":
        kind = type(site.graph.get_submodule(str(node.target))).__name__
        return f"{name_of(node)!r} ({kind})"
    return f"{getattr(node.target, '__name__', node.target)}"
