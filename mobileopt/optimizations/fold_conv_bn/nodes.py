"""Reading the nodes of a graph: their arguments, their names, the tensors they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx, nn

from mobileopt.optimizations._tracing import storage

OBSTACLE, NAME = "obstacle", "name"
"""Keys in a node's `meta` of what the graph alone does not show: why the module it calls must
stay as it is, and by which path the model that the graph is a part of knows it."""


def arguments(node: fx.Node, names: tuple[str, ...]) -> dict[str, Any]:
    """The arguments of a call by name, however they were passed; absent ones are left out."""
    return dict(zip(names, node.args, strict=False)) | dict(node.kwargs)


def name_of(node: fx.Node) -> str:
    """The path of the module a node calls."""
    return node.meta.get(NAME, str(node.target))


def input_of(node: fx.Node) -> Any:
    """The first argument of a layer, a normalisation or a Dropout."""
    if node.args:
        return node.args[0]
    return node.kwargs.get("input", node.kwargs.get("x"))


def attribute(graph: fx.GraphModule, node: Any) -> Tensor | None:
    """The tensor a get_attr node reads, or None for any other node."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    value: Any = graph
    for atom in str(node.target).split("."):
        value = getattr(value, atom)
    return value if isinstance(value, Tensor) else None


def tensors_of(graph: fx.GraphModule, node: fx.Node) -> Mapping[int, Tensor]:
    """The tensors a node reads that are not results of others, by storage address."""
    if node.op == "call_module":
        return {storage(t): t for t in _held(graph.get_submodule(str(node.target)))}
    held: list[Tensor] = []
    for each in node.all_input_nodes:
        tensor = attribute(graph, each)
        held += [tensor] if tensor is not None else []
        module = _module_attribute(graph, each)
        held += _held(module) if module is not None else []
    return {storage(t): t for t in held}


def _module_attribute(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    if node.op != "get_attr":
        return None
    value: Any = graph
    for atom in str(node.target).split("."):
        value = getattr(value, atom)
    return value if isinstance(value, nn.Module) else None


def _held(module: nn.Module) -> list[Tensor]:
    plain = [v for m in module.modules() for v in vars(m).values() if isinstance(v, Tensor)]
    return [*module.parameters(), *module.buffers(), *plain]
