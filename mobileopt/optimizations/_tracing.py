"""An FX trace of a model as its example inputs call it, with the shapes that flow through it."""

from __future__ import annotations

import copy
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from mobileopt.errors import InputError

Shapes = dict[str, tuple[torch.Size, torch.dtype]]
"""What each node of a graph returned on the example inputs, by name: tensors only."""

_SIZED = (list, dict, set)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Untraceable(Exception):
    """The model cannot be traced; the text says why and becomes the reason of what is left."""


def checked_inputs(example_inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The positional arguments of `forward`; raises InputError unless a tuple or a list."""
    if not isinstance(example_inputs, (tuple, list)):
        raise InputError(
            f"example_inputs is a {type(example_inputs).__name__}; "
            "give a tuple with the positional arguments of forward"
        )
    return tuple(example_inputs)


def copied(module: nn.Module) -> nn.Module:
    """A deep copy that shares no tensor with `module`.

    torch refuses to copy a tensor with a gradient history, which is what the older weight_norm
    and pruning keep as `weight`; those are copied by value.
    """
    memo: dict[int, Any] = {}
    for child in module.modules():
        for value in vars(child).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(module, memo)


def has_hooks(module: nn.Module) -> bool:
    """Whether calling the module runs more, or other, code than its class's `forward`."""
    return "forward" in vars(module) or any(getattr(module, hooks, None) for hooks in _HOOKS)


def run(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """The outputs of a copy of `module`, random numbers seeded: running changes nothing."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return copied(module)(*copy.deepcopy(inputs))


def run_original(module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """`run`, of what the user gave: raises InputError when it does not run on these inputs."""
    try:
        return run(module, inputs)
    except Exception as error:
        raise InputError(
            f"the model does not run on its example inputs: {one_line(error)}"
        ) from error


def check_stateless(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Raise Untraceable when a call leaves something behind in an attribute of a module.

    Buffers that are written in place are part of a graph; a plain attribute that is set is not,
    and the second call of a trace would be another than the model's.
    """
    model = copied(module)
    before = _attributes(model)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        model(*copy.deepcopy(inputs))
    for name, value in _attributes(model).items():
        if before.get(name) != value:
            raise Untraceable(f"forward changes {name!r}, which a trace would not")


def _attributes(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Identity and length of what modules keep in attributes, hooked ones apart: theirs do."""
    return {
        f"{path}.{name}".lstrip("."): (id(value), len(value) if isinstance(value, _SIZED) else 0)
        for path, child in model.named_modules()
        if not has_hooks(child)
        for name, value in vars(child).items()
    }


def one_line(error: BaseException) -> str:
    """The first sentence of an error's text, shortened, or its type where it has none."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[0].split(". ")[0], 160, placeholder=" ...")


class _Tracer(fx.Tracer):
    """Traces `forward` with the arguments given; the others keep their defaults.

    FX would make every argument a proxy, and a proxy is never None: of an `if mask is None` it
    takes the wrong branch in silence.
    """

    # Otherwise what forward does to a buffer is done once, while tracing.
    proxy_buffer_attributes = True

    def __init__(self, given: int, is_leaf: Callable[[nn.Module], bool]) -> None:
        super().__init__()
        self._given = given
        self._is_leaf = is_leaf

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # A hook on a container would run once, at tracing time, on proxies; as a leaf it is kept.
        leaf = has_hooks(m) or isinstance(m, torch.jit.ScriptModule) or self._is_leaf(m)
        return leaf or super().is_leaf_module(m, module_qualified_name)

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Any, list[Any]]:
        function, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        parameters = list(inspect.signature(inspect.unwrap(root_fn)).parameters.values())
        for position in range(1 + self._given, len(args)):
            self.graph.erase_node(args[position].node)
            args[position] = parameters[position].default
        return function, args


def _resolve_annotations(graph: fx.Graph, function: Callable[..., Any]) -> None:
    """Turn annotations that are strings into types: a script of the trace needs them."""
    try:
        hints = get_type_hints(function)
    except Exception:  # an annotation may name anything; without it the default is Tensor
        hints = {}
    for node in graph.nodes:
        if isinstance(node.type, str):
            node.type = hints.get("return" if node.op == "output" else str(node.target))


def trace(
    module: nn.Module, inputs: tuple[Any, ...], is_leaf: Callable[[nn.Module], bool]
) -> fx.GraphModule:
    """Trace `module` (its submodules become the graph's; pass a copy).

    `is_leaf` names modules to keep whole beside torch's own. Arguments of `forward` that
    `inputs` leaves out are fixed at their defaults. Raises Untraceable.
    """
    check_traceable(module, inputs)
    kinds = {each.kind for each in inspect.signature(module.forward).parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        raise Untraceable("FX cannot trace the model: forward takes *args or **kwargs")
    try:
        tracer = _Tracer(len(inputs), is_leaf)
        graph = tracer.trace(module)
        graph._tracer_cls = None  # unpickling would build a _Tracer without its arguments
        _resolve_annotations(graph, inspect.unwrap(type(module).forward))
        return fx.GraphModule(tracer.root, graph, type(module).__name__)
    except Exception as error:
        raise Untraceable(f"FX cannot trace the model: {one_line(error)}") from error


def check_traceable(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    """Raise Untraceable for what tracing or exporting would change without a word."""
    if isinstance(module, torch.jit.ScriptModule):
        raise Untraceable("the model is scripted already")
    if has_hooks(module):
        raise Untraceable("the model itself has hooks, which a trace would drop")
    if nn.modules.module._has_any_global_hook():
        raise Untraceable("hooks are registered on all modules, which a trace would drop")
    leaves = tree_leaves(inputs)
    if not all(isinstance(leaf, Tensor) for leaf in leaves):
        raise Untraceable("an example input is no tensor, and a trace would fix its value")


class _Recorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=True)
        self.shapes: Shapes = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.shapes[n.name] = (value.shape, value.dtype)
        return value


def shapes_of(module: fx.GraphModule, inputs: tuple[Any, ...]) -> tuple[Shapes, Any]:
    """What flows through a copy of the graph on `inputs`, and what comes out of it."""
    recorder = _Recorder(copied(module))  # type: ignore[arg-type]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        output = recorder.run(*copy.deepcopy(inputs))
    return recorder.shapes, output


def storage(tensor: Tensor) -> int:
    """The address of the memory a tensor, and every view of it, lies in."""
    return tensor.untyped_storage().data_ptr()
