"""Fold batch normalisation into the convolution or linear layer beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from mobileopt.optimizations._checking import difference
from mobileopt.optimizations._tracing import (
    Untraceable,
    checked_inputs,
    copied,
    has_hooks,
    one_line,
    run,
    shapes_of,
    trace,
)
from mobileopt.optimizations.fold_conv_bn.calls import is_leaf, is_norm
from mobileopt.optimizations.fold_conv_bn.exported import export, scriptable
from mobileopt.optimizations.fold_conv_bn.graph import Account, fold
from mobileopt.optimizations.result import Result


def apply(module: nn.Module, example_inputs: Sequence[Any]) -> Result:
    """Fold every batch normalisation whose result stays the same by it, on the inputs' ranks.

    `example_inputs` are the positional arguments of `forward`; optional arguments left out are
    fixed at their defaults. What is not folded is in `Result.left` with its reason, by the path
    of its module. Raises InputError when the model does not run on its example inputs.
    """
    inputs = checked_inputs(example_inputs)
    expected = run(module, inputs)
    try:
        return _fold_graph(module, inputs, expected, trace(copied(module), inputs, is_leaf))
    except Untraceable as reason:
        first = str(reason)
    try:
        return _fold_graph(module, inputs, expected, export(module, inputs))
    except Untraceable as second:
        return _left_whole(module, f"{first}; {second}")


def _fold_graph(
    module: nn.Module, inputs: tuple[Any, ...], expected: Any, graph: fx.GraphModule
) -> Result:
    try:
        shapes, output = shapes_of(graph, inputs)
    except Exception as error:
        raise Untraceable(f"the model's trace does not run: {one_line(error)}") from error
    clause = difference(expected, output)
    if clause:
        raise Untraceable(f"the model's trace {clause}")
    account = fold(graph, shapes)
    left = _left(module, graph, account)
    folded = tuple(dict.fromkeys(name for name in account.folded if name not in left))
    if not folded:
        return Result(copied(module), (), left)
    scriptable(graph)
    result = fx.GraphModule(graph, graph.graph, type(module).__name__)
    clause = difference(expected, run(result, inputs))
    if clause:
        return _left_whole(module, f"the folded model {clause}")
    return Result(result, folded, left)


def _left(module: nn.Module, graph: fx.GraphModule, account: Account) -> dict[str, str]:
    left = {
        name: f"{reason} (folded in {account.folded.count(name)} other calls)"
        if name in account.folded
        else reason
        for name, reason in account.left.items()
    }
    for name, child in module.named_modules():
        if is_norm(child) and name not in account.folded and name not in left:
            left[name] = _unseen(module, name)
    return left


def _unseen(module: nn.Module, name: str) -> str:
    parents = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
    for parent in parents:
        if has_hooks(module.get_submodule(parent)):
            return f"it is inside {parent!r}, which has hooks and is kept whole"
    return "it is not called on the example inputs"


def _left_whole(module: nn.Module, reason: str) -> Result:
    """The model as it was, one reason for each of its normalisations, or for itself as ''."""
    names = [name for name, child in module.named_modules() if is_norm(child)]
    return Result(copied(module), (), dict.fromkeys(names or [""], reason))
