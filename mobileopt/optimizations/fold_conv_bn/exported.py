"""The graph of a model as `torch.export` sees it, made into a module that scripts and exports.

Export follows control flow over shapes, parametrizations and functional code that a trace
cannot. It does so for the shapes of the example inputs: the module made of it asserts them.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import logging
import operator
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import OpOverload
from torch.utils._pytree import TreeSpec, tree_unflatten
from torchvision.ops import FrozenBatchNorm2d

from mobileopt.optimizations._tracing import (
    Untraceable,
    check_traceable,
    copied,
    has_hooks,
    one_line,
    storage,
)
from mobileopt.optimizations.fold_conv_bn.calls import (
    is_norm,
    only_weight_hooks,
    takes_constants,
)
from mobileopt.optimizations.fold_conv_bn.graph import set_module
from mobileopt.optimizations.fold_conv_bn.nodes import attribute

_CONTAINERS = (tuple, list, dict)


def export(module: nn.Module, inputs: tuple[Any, ...]) -> fx.GraphModule:
    """What `torch.export` sees, with the weights it computes computed once. Raises Untraceable."""
    check_traceable(module, inputs)
    for name, child in module.named_modules():
        if has_hooks(child) and not only_weight_hooks(child):
            raise Untraceable(f"{name!r} has hooks, which an export would drop")
    source = _exported(module, inputs)
    graph = fx.GraphModule(source, _rebuilt(module, source, inputs), type(module).__name__)
    graph.train(module.training)
    _compute_constants(graph)
    return graph


def scriptable(graph: fx.GraphModule) -> None:
    """Call operators by the names that TorchScript knows: without their overloads."""
    for node in graph.graph.nodes:
        if isinstance(node.target, OpOverload):
            node.target = node.target.overloadpacket
    graph.recompile()


def _exported(module: nn.Module, inputs: tuple[Any, ...]) -> fx.GraphModule:
    try:
        with _silence(), torch.no_grad():
            model = _with_plain_norms(copied(module))
            program = torch.export.export(model, copy.deepcopy(inputs))
            return program.module(check_guards=False)  # type: ignore[return-value]
    except Exception as error:
        raise Untraceable(f"torch.export cannot export the model: {one_line(error)}") from error


def _with_plain_norms(model: nn.Module) -> nn.Module:
    """FrozenBatchNorm2d as BatchNorm2d in evaluation, which an export calls by its name."""
    children: list[tuple[str, Any]] = list(model.named_modules())
    for name, child in children:
        if name and is_norm(child) and isinstance(child, FrozenBatchNorm2d):
            channels = len(child.state_dict()["running_mean"])
            plain = nn.BatchNorm2d(channels, child.eps).eval()
            plain.load_state_dict(child.state_dict(), strict=False, assign=True)
            set_module(model, name, plain.requires_grad_(False))
    return model


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """A failing export prints its whole graph and logs; its first line is the reason we give."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(level)


def _rebuilt(module: nn.Module, source: fx.GraphModule, inputs: tuple[Any, ...]) -> fx.Graph:
    """The graph with `forward`'s own arguments and outputs instead of flattened ones."""
    graph = fx.Graph()
    names = _names(module, len(inputs))
    arguments = [graph.placeholder(name) for name in names]
    assert source._in_spec is not None
    specs = source._in_spec.child(0).children()
    each = zip(names, arguments, inputs, specs, strict=True)
    leaves = [leaf for argument in each for leaf in _leaves(graph, *argument)]
    placeholders = [node for node in source.graph.nodes if node.op == "placeholder"]
    values: dict[fx.Node, Any] = dict(zip(placeholders, leaves, strict=True))
    for node in source.graph.nodes:
        if node.op == "output":
            graph.output(_output(source, fx.map_arg(node.args[0], values.__getitem__)))
        elif node.op != "placeholder" and (node.op != "get_attr" or node.users):
            _check_known(node)
            values[node] = graph.node_copy(node, values.__getitem__)
    return graph


def _names(module: nn.Module, count: int) -> list[str]:
    """The names of the first arguments of `forward`; those of ``*args`` are numbered."""
    names: list[str] = []
    for name, parameter in inspect.signature(module.forward).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{name}_{number}" for number in range(count - len(names))]
        names.append(name)
    return names[:count]


def _leaves(
    graph: fx.Graph, name: str, node: fx.Node, value: Any, spec: TreeSpec
) -> Iterator[fx.Node]:
    """The tensors of an argument, in the order of its flattening, their shapes asserted."""
    if spec.is_leaf():
        _assert_like(graph, name, node, value)
        yield node
        return
    if spec.type not in _CONTAINERS:
        raise Untraceable(f"its input {name} is neither a tensor nor tuples, lists and dicts")
    keys = spec.context if spec.type is dict else range(len(value))
    for key, child in zip(keys, spec.children(), strict=True):
        item = graph.call_function(operator.getitem, (node, key))
        yield from _leaves(graph, f"{name}[{key!r}]", item, value[key], child)


def _assert_like(graph: fx.Graph, name: str, node: fx.Node, value: Tensor) -> None:
    text = f"{name} is not {value.dtype} of shape {tuple(value.shape)}, as it was at the export"
    found = [(graph.call_method("dim", (node,)), value.dim())]
    found += [(graph.call_method("size", (node, axis)), n) for axis, n in enumerate(value.shape)]
    found += [(graph.call_function(getattr, (node, "dtype")), value.dtype)]
    for actual, expected in found:
        same = graph.call_function(operator.eq, (actual, expected))
        graph.call_function(torch._assert, (same, text))


def _output(source: fx.GraphModule, flat: Any) -> Any:
    spec = source._out_spec
    if spec is None or not _plain(spec):
        raise Untraceable("its output is neither a tensor nor tuples, lists and dicts of them")
    return tree_unflatten(flat, spec)


def _plain(spec: TreeSpec) -> bool:
    inside = all(_plain(child) for child in spec.children())
    return spec.is_leaf() or (spec.type in _CONTAINERS and inside)


def _check_known(node: fx.Node) -> None:
    known = isinstance(node.target, OpOverload) or node.target is operator.getitem
    if node.op == "call_module" or (node.op == "call_function" and not known):
        raise Untraceable(f"its export uses {node.target}")


def _compute_constants(graph: fx.GraphModule) -> None:
    """Compute once what layers and normalisations take and only weights and buffers decide."""
    constants = _constants(graph)
    computed: dict[Any, str] = {}
    for node in list(graph.graph.nodes):
        for each in takes_constants(node):
            if each in constants and each.op != "get_attr":
                key = _expression(each)
                name = computed.setdefault(key, f"computed_{len(computed)}")
                if not hasattr(graph, name):
                    graph.register_buffer(name, constants[each].detach().clone())
                with graph.graph.inserting_before(node):
                    node.replace_input_with(each, graph.graph.get_attr(name))
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _constants(graph: fx.GraphModule) -> dict[fx.Node, Tensor]:
    written = _written(graph)
    constants: dict[fx.Node, Tensor] = {}
    for node in graph.graph.nodes:
        if node.op == "get_attr":
            tensor = attribute(graph, node)
            if tensor is not None and storage(tensor) not in written:
                constants[node] = tensor
        elif _is_pure(node) and all(each in constants for each in node.all_input_nodes):
            with torch.no_grad():
                args, kwargs = fx.map_arg((node.args, node.kwargs), constants.__getitem__)
                value = node.target(*args, **kwargs)  # type: ignore[operator]
            if isinstance(value, Tensor):
                constants[node] = value
    return constants


def _is_pure(node: fx.Node) -> bool:
    target = node.target
    if not isinstance(target, OpOverload) or not node.all_input_nodes:
        return False
    return not target._schema.is_mutable and torch.Tag.nondeterministic_seeded not in target.tags


def _written(graph: fx.GraphModule) -> set[int]:
    """The storages that the graph may write to: of all that an operator which writes is given."""
    written: set[int] = set()
    for node in graph.graph.nodes:
        target = node.target
        if isinstance(target, OpOverload) and (target._schema.is_mutable or _trains(node)):
            for source in _sources(node):
                tensor = attribute(graph, source)
                written |= {storage(tensor)} if tensor is not None else set()
    return written


def _trains(node: fx.Node) -> bool:
    """Normalisation in training updates its statistics, which its schema does not say."""
    return "_norm" in str(node.target) and len(node.args) > 5 and node.args[5] is not False


def _sources(node: fx.Node) -> set[fx.Node]:
    """What may share memory with what a node is given: up through operators that make views."""
    found: set[fx.Node] = set()
    todo = list(node.all_input_nodes)
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            target = each.target
            if not isinstance(target, OpOverload) or any(
                result.alias_info for result in target._schema.returns
            ):
                todo += each.all_input_nodes
    return found


def _expression(node: fx.Node) -> str:
    """Equal for two nodes that compute the same of the same tensors."""
    if node.op == "get_attr":
        return str(node.target)
    names = {each: _expression(each) for each in node.all_input_nodes}
    return str((node.target, fx.map_arg((node.args, node.kwargs), names.__getitem__)))
