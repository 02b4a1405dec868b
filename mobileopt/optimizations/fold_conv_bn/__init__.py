"""Fold batch normalisation into the convolution or linear layer beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import fx, nn

from mobileopt.optimizations._checking import difference, fault
from mobileopt.optimizations._tracing import (
    Untraceable,
    check_stateless,
    checked_inputs,
    copied,
    has_hooks,
    one_line,
    run_original,
    shapes_of,
    trace,
)
from mobileopt.optimizations.fold_conv_bn.calls import COMPUTED, is_leaf, is_norm
from mobileopt.optimizations.fold_conv_bn.exported import export, scriptable
from mobileopt.optimizations.fold_conv_bn.graph import Account, fold
from mobileopt.optimizations.fold_conv_bn.parts import UNCALLED, fold_parts
from mobileopt.optimizations.result import Result


def apply(module: nn.Module, example_inputs: Sequence[Any]) -> Result:
    """Fold every batch normalisation that can be folded without changing what the model does.

    `example_inputs` are the positional arguments of `forward`; optional arguments left out are
    fixed at their defaults, and later inputs must have the same numbers of axes. The model is
    traced by FX. Where it cannot be, its parts are; and where that leaves something, the model
    is exported if this folds more, which fixes the shapes of the inputs (the result asserts
    them). What is not folded is in `Result.left` with its reason, by the path of its module, or
    under the empty name for a model that has no such module. Raises InputError when the model
    does not run on its example inputs.
    """
    inputs = checked_inputs(example_inputs)
    expected = run_original(module, inputs)
    try:
        check_stateless(module, inputs)
        result = _fold_graph(module, inputs, expected, trace(copied(module), inputs, is_leaf))
        seen = not any(COMPUTED in reason for reason in result.left.values())
    except Untraceable as reason:
        result = _fold_parts(module, inputs, expected, str(reason))
        seen = set(result.left.values()) <= {UNCALLED}
    return result if seen else _better(result, module, inputs, expected)


def _better(result: Result, module: nn.Module, inputs: tuple[Any, ...], expected: Any) -> Result:
    """The folded export where it folds more, else `result` with the reason it does not."""
    try:
        check_stateless(module, inputs)
        exported = _fold_graph(module, inputs, expected, export(module, inputs))
    except Untraceable as reason:
        left = {
            name: first if first == UNCALLED else f"{first}; {reason}"
            for name, first in result.left.items()
        }
        return Result(result.module, result.changed, left)
    if result.folded and len(exported.folded) <= len(result.folded):
        return result
    return exported  # with nothing folded either way, its reasons are of each normalisation


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
    scriptable(graph)
    _report_unseen(module, account)
    return _checked(module, inputs, expected, fx.GraphModule(graph, graph.graph), account)


def _fold_parts(module: nn.Module, inputs: tuple[Any, ...], expected: Any, reason: str) -> Result:
    if not any(is_norm(child) for child in module.modules()):
        return Result(copied(module), (), {"": reason})
    result, account = fold_parts(module, inputs)
    return _checked(module, inputs, expected, result, account)


def _checked(
    module: nn.Module, inputs: tuple[Any, ...], expected: Any, result: nn.Module, account: Account
) -> Result:
    """The folded model, or the model as it was where the outputs differ after all."""
    left = {
        name: f"{reason} (folded in {account.folded.count(name)} other calls)"
        if name in account.folded
        else reason
        for name, reason in account.left.items()
    }
    folded = tuple(dict.fromkeys(name for name in account.folded if name not in left))
    if not account.folded:
        return Result(copied(module), (), left)
    clause = fault(module, result, inputs, expected)
    if clause:
        names = dict.fromkeys((*folded, *left), f"the folded model {clause}")
        return Result(copied(module), (), names)
    return Result(result, folded, left)


def _report_unseen(module: nn.Module, account: Account) -> None:
    for name, child in module.named_modules():
        if is_norm(child) and name not in account.folded and name not in account.left:
            account.left[name] = _unseen(module, name)


def _unseen(module: nn.Module, name: str) -> str:
    parents = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
    for parent in parents:
        if has_hooks(module.get_submodule(parent)):
            return f"it is inside {parent!r}, which has hooks and is kept whole"
    return UNCALLED
