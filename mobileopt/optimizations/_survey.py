"""What of a model runs in a straight line, and what its modules did in one recorded execution.

A trace of a module's forward says what happens whenever it is called; where the model's own
forward cannot be traced, those of its parts often can. The execution says what a trace of a part
cannot: how often it was called, and who else called its modules or read their tensors.
"""

from __future__ import annotations

import copy
import inspect
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from mobileopt.optimizations._reach import reach
from mobileopt.optimizations._tracing import Untraceable, storage, trace


@dataclass
class Recording:
    """One execution: how each module was called, what it returned, who read which tensor.

    Modules go by their paths; `inputs` holds the positional arguments of each call, or None for
    a call by keyword, and `readers` the modules that were running, by storage address.
    """

    inputs: dict[str, list[tuple[Any, ...] | None]] = field(
        default_factory=lambda: defaultdict(list)
    )
    outputs: dict[str, torch.Size] = field(default_factory=dict[str, torch.Size])
    readers: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))

    def times(self, name: str) -> int:
        """How often the module was called."""
        return len(self.inputs[name])


@dataclass(frozen=True)
class Straight:
    """The forward of the module at `path`, traced: its calls happen in this order or not at all.

    `inputs` are the arguments of its first recorded call.
    """

    path: str
    graph: fx.GraphModule
    inputs: tuple[Any, ...]

    def name(self, node: fx.Node) -> str:
        """The path from the model of the module a node calls."""
        return joined(self.path, str(node.target))


@dataclass(frozen=True)
class Survey:
    """A model with its recording, its straight parts, and by path why others are not and how
    deep their code reaches into their children."""

    model: nn.Module
    recording: Recording
    straights: list[Straight] = field(default_factory=list[Straight])
    untraced: dict[str, str] = field(default_factory=dict[str, str])
    reaches: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def shared(self, straight: Straight, name: str) -> str | None:
        """What makes the module at `name` more than one call in `straight`, or None."""
        nodes = (n for n in straight.graph.graph.nodes if n.op == "call_module")
        times = sum(straight.name(node) == name for node in nodes)
        if times > 1:
            return f"is called {times} times"
        if self.recording.times(name) != self.recording.times(straight.path):
            return f"is also called from outside {straight.path!r}"
        module = self.model.get_submodule(name)
        for tensor in (*module.parameters(), *module.buffers()):
            others = {n for n in self.recording.readers[storage(tensor)] if not _within(n, name)}
            if others:
                return f"has weights that are also read in {min(others) or 'forward'!r}"
        if straight.path and not self._is_closed(straight.path):
            return f"is inside {straight.path!r}, which other code may reach into"
        return None

    def _is_closed(self, path: str) -> bool:
        """Whether the code around a part calls it as a whole, whichever way it takes."""
        if len(_names(self.model, self.model.get_submodule(path))) > 1:
            return False
        for outer in self.untraced:
            if outer == "" or path.startswith(f"{outer}."):
                steps = path.removeprefix(f"{outer}." if outer else "").split(".")
                if self._reach(outer)[steps[0]] > len(steps):
                    return False
        return True

    def _reach(self, path: str) -> dict[str, int]:
        if path not in self.reaches:
            self.reaches[path] = reach(self.model.get_submodule(path))
        return self.reaches[path]


def _names(model: nn.Module, module: nn.Module) -> list[str]:
    named = model.named_modules(remove_duplicate=False)
    return [name for name, child in named if child is module]


def survey(
    model: nn.Module, inputs: tuple[Any, ...], is_leaf: Callable[[nn.Module], bool]
) -> Survey:
    """Run `model` once on `inputs` and trace it; pass a copy. `is_leaf` is as in `trace`."""
    surveyed = Survey(model, _record(model, inputs))
    _trace_straight(surveyed, "", is_leaf)
    return surveyed


def joined(path: str, name: str) -> str:
    """The path of the child `name` of the module at `path`."""
    return f"{path}.{name}" if path else name


def _within(name: str, outer: str) -> bool:
    return name == outer or name.startswith(f"{outer}.")


def _record(model: nn.Module, inputs: tuple[Any, ...]) -> Recording:
    recording = Recording()
    reads = _Reads(model, recording)
    handles: list[Any] = []
    for name, child in model.named_modules():
        if isinstance(child, torch.jit.ScriptModule):
            continue
        enter, leave = _hooks(recording, reads.stack, name, any(child.children()))
        handles.append(child.register_forward_pre_hook(enter, with_kwargs=True))
        handles.append(child.register_forward_hook(leave))
    with torch.no_grad(), torch.random.fork_rng(devices=[]), reads:
        torch.manual_seed(0)
        model(*copy.deepcopy(inputs))
    for handle in handles:
        handle.remove()
    return recording


def _hooks(recording: Recording, stack: list[str], name: str, keep: bool) -> tuple[Any, Any]:
    """Before and after a call; its arguments are kept alive only of what may be traced."""

    def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        stack.append(name)
        recording.inputs[name].append(None if kwargs else args if keep else ())

    def leave(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        stack.pop()
        if isinstance(output, Tensor):
            recording.outputs[name] = output.shape

    return enter, leave


class _Reads(TorchFunctionMode):
    """Notes for each tensor of a model which module was running when torch was handed it."""

    def __init__(self, model: nn.Module, recording: Recording) -> None:
        super().__init__()
        self.stack: list[str] = []
        self._recording = recording
        self._owned = {storage(t) for t in (*model.parameters(), *model.buffers())}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        # A getter reads metadata, or makes a view whose later use is seen.
        if getattr(func, "__name__", "") != "__get__":
            for leaf in tree_leaves((args, kwargs)):
                if isinstance(leaf, Tensor) and storage(leaf) in self._owned:
                    self._recording.readers[storage(leaf)].add(self.stack[-1])
        return func(*args, **(kwargs or {}))


def _trace_straight(surveyed: Survey, path: str, is_leaf: Callable[[nn.Module], bool]) -> None:
    """Trace the forward of the module at `path`, or those of its children where it cannot be."""
    module = surveyed.model.get_submodule(path)
    if not any(module.children()):
        return
    try:
        inputs = _alike(surveyed.recording.inputs[path])
        _check_complete(module, inputs)
        straight = Straight(path, trace(module, inputs, is_leaf), inputs)
    except Untraceable as reason:
        surveyed.untraced[path] = str(reason)
        inside = [name for name, _ in module.named_children()]
    else:
        surveyed.straights.append(straight)
        nodes = [n for n in straight.graph.graph.nodes if n.op == "call_module"]
        inside = list(dict.fromkeys(str(node.target) for node in nodes))
    for name in inside:
        _trace_straight(surveyed, joined(path, name), is_leaf)


def _alike(calls: list[tuple[Any, ...] | None]) -> tuple[Any, ...]:
    """The arguments of the first call, where all are alike but for the sizes of axes."""
    if not calls:
        raise Untraceable("it is not called itself")
    forms = {None if call is None else str(_form(call)) for call in calls}
    if len(forms) > 1 or calls[0] is None:
        raise Untraceable("it is called by keyword, or in more than one way")
    return calls[0]


def _check_complete(module: nn.Module, inputs: tuple[Any, ...]) -> None:
    """The module stays callable with other arguments, which may take it another way."""
    if len(inspect.signature(module.forward).parameters) > len(inputs):
        raise Untraceable("it takes arguments that the example inputs leave out")


def _form(call: tuple[Any, ...]) -> list[Any]:
    leaves = tree_leaves(call)
    return [(x.dim(), x.dtype) if isinstance(x, Tensor) else x for x in leaves]
