"""Folding in the parts of a model that run in a straight line, where the whole does not.

The model stays what it is, with its control flow: a folded layer takes the place of the layer and
an Identity that of its normalisation.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from mobileopt.optimizations._survey import Straight, Survey, survey
from mobileopt.optimizations._tracing import copied, shapes_of
from mobileopt.optimizations.fold_conv_bn.calls import is_leaf, is_norm, layer_of, norm_of
from mobileopt.optimizations.fold_conv_bn.graph import Account, fold, set_module
from mobileopt.optimizations.fold_conv_bn.nodes import NAME, OBSTACLE

UNCALLED = "it is not called on the example inputs"


def fold_parts(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[nn.Module, Account]:
    """A copy of `module`, folded where a part of it shows that it is safe, with the account."""
    surveyed = survey(copied(module), inputs, is_leaf)
    result, account = copied(module), Account()
    for straight in surveyed.straights:
        _fold_straight(surveyed, straight, result, account)
    for name, child in module.named_modules():
        if is_norm(child) and name not in account.folded and name not in account.left:
            account.left[name] = _untraced(surveyed, name)
    return result, account


def _fold_straight(
    surveyed: Survey, straight: Straight, result: nn.Module, account: Account
) -> None:
    graph = straight.graph
    modules = [node for node in graph.graph.nodes if node.op == "call_module"]
    paths = {str(node.target): straight.name(node) for node in modules}
    for node in graph.graph.nodes:
        if node in modules:
            node.meta[NAME] = straight.name(node)
            node.meta[OBSTACLE] = surveyed.shared(straight, straight.name(node))
        elif layer_of(graph, node) or norm_of(graph, node):
            node.meta[OBSTACLE] = "is a function's call in a part of the model"
    shapes, _ = shapes_of(graph, straight.inputs)
    found = fold(graph, shapes, before=False)
    for target, path in paths.items():
        if path in found.folded:
            set_module(result, path, nn.Identity().eval())
        elif graph.get_submodule(target) is not surveyed.model.get_submodule(path):
            set_module(result, path, graph.get_submodule(target))
    account.folded += found.folded
    account.left |= found.left


def _untraced(surveyed: Survey, name: str) -> str:
    """Why a normalisation is in no part: of the forward that calls it, or that none does."""
    if not surveyed.recording.times(name):
        return UNCALLED
    path = name
    while path:
        path = path.rpartition(".")[0]
        if path in surveyed.untraced:
            return surveyed.untraced[path]
    return "its call is not found in a trace"
