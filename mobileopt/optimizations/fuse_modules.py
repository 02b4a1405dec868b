"""Fuse modules that run one after another, as the PyTorch mobile recipe does in eager mode.

`torch.ao.quantization.fuse_modules` does the fusing; it takes whatever it is told, so that a
ReLU used twice or a convolution with a second reader gives another answer in silence. Here a
group is fused only when a trace of the forward that runs it shows a straight sequence, and a
recorded execution shows that nothing else calls its modules or reads their tensors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from torch import fx, nn
from torch.ao.nn.intrinsic.modules.fused import _FusedModule
from torch.ao.quantization import fuse_modules
from torch.nn.utils import parametrize

from mobileopt.errors import InputError
from mobileopt.optimizations._checking import fault
from mobileopt.optimizations._survey import Straight, Survey, survey
from mobileopt.optimizations._tracing import checked_inputs, copied, has_hooks, run_original
from mobileopt.optimizations.fold_conv_bn.affine import Unfoldable, Weights, affine, fold_after
from mobileopt.optimizations.fold_conv_bn.nodes import input_of
from mobileopt.optimizations.result import Result

SEQUENCES = ("Conv + BN", "Conv + BN + ReLU", "Conv + ReLU", "Linear + ReLU", "BN + ReLU")
"""The sequences of the recipe, in words."""

_CONVS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}
_KNOWN = {
    *_CONVS.items(),
    *((conv, norm, nn.ReLU) for conv, norm in _CONVS.items()),
    *((conv, nn.ReLU) for conv in _CONVS),
    (nn.Linear, nn.ReLU),
    (nn.BatchNorm2d, nn.ReLU),
    (nn.BatchNorm3d, nn.ReLU),
}
_RANKS = {nn.Conv1d: 3, nn.Conv2d: 4, nn.Conv3d: 5}

Group = tuple[str, ...]


def apply(
    module: nn.Module, example_inputs: Sequence[Any], groups: Sequence[Sequence[str]] | None = None
) -> Result:
    """Fuse every group of modules that runs as one of SEQUENCES, or only `groups`, in evaluation.

    `example_inputs` are the positional arguments of `forward`; a group is a list of module
    paths. `Result.changed` and `Result.left` name a group by its paths joined with ``+``. Fused
    modules leave an Identity behind. Raises InputError when the model does not run on its
    inputs, or when `groups` name a module that is not there or a sequence that is not known.
    """
    inputs = checked_inputs(example_inputs)
    if groups is not None:
        _check_groups(module, groups)
    expected = run_original(module, inputs)
    surveyed = survey(copied(module), inputs, lambda child: False)
    if groups is None:
        fused, left = _found(surveyed)
    else:
        fused, left = _named(surveyed, [tuple(group) for group in groups])
    if not fused:
        return Result(copied(module), (), left)
    result = copied(module)
    _fuse(result, fused)
    clause = fault(module, result, inputs, expected)
    if clause:
        reason = f"the fused model {clause}"
        return Result(copied(module), (), left | {"+".join(group): reason for group in fused})
    return Result(result, tuple("+".join(group) for group in fused), left)


def _fuse(model: nn.Module, groups: list[Group]) -> None:
    fuse_modules(model, [list(group) for group in groups], inplace=True)
    for child in model.modules():
        if isinstance(child, _FusedModule):
            child.training = child[0].training  # a new container starts in training mode


def _check_groups(model: nn.Module, groups: Sequence[Sequence[str]]) -> None:
    if any(isinstance(group, str) for group in groups):
        raise InputError(f"groups is {groups!r}; give a list of groups, each a list of names")
    known = dict(model.named_modules())
    counts = Counter(name for group in groups for name in group)
    for name, count in counts.items():
        if name not in known or not name:
            near = get_close_matches(name, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise InputError(f"the model has no module {name!r}{hint}; {_sequences()}")
        if count > 1:
            raise InputError(f"module {name!r} is named {count} times in the groups to fuse")
    for group in groups:
        types = tuple(type(known[name]) for name in group)
        if types not in _KNOWN and not any(parametrize.is_parametrized(known[n]) for n in group):
            found = " + ".join(kind.__name__ for kind in types)
            raise InputError(f"group {list(group)} is {found}; {_sequences()}")


def _sequences() -> str:
    return f"the known sequences are {', '.join(SEQUENCES)}"


def _found(surveyed: Survey) -> tuple[list[Group], dict[str, str]]:
    fused: list[Group] = []
    left = {
        path: reason for path, reason in surveyed.untraced.items() if _has_parts(surveyed, path)
    }
    taken: set[str] = set()
    for straight in surveyed.straights:
        for chains in _candidates(straight):
            for chain in chains:
                group = tuple(straight.name(node) for node in chain)
                if taken & set(group):
                    continue
                reason = _obstacle(surveyed, straight, chain)
                if reason is None:
                    fused.append(group)
                    taken |= set(group)
                    break
                left["+".join(group)] = reason
    return fused, left


def _has_parts(surveyed: Survey, path: str) -> bool:
    """Whether a module has children of its own that might have been fused."""
    kinds = {kind for known in _KNOWN for kind in known} - {nn.ReLU}
    return any(type(child) in kinds for child in surveyed.model.get_submodule(path).children())


def _named(surveyed: Survey, groups: list[Group]) -> tuple[list[Group], dict[str, str]]:
    chains = {
        tuple(straight.name(node) for node in chain): (straight, chain)
        for straight in surveyed.straights
        for chains in _candidates(straight)
        for chain in chains
    }
    reasons = {
        g: _obstacle(surveyed, *chains[g]) if g in chains else _absent(surveyed, g) for g in groups
    }
    left = {"+".join(group): reason for group, reason in reasons.items() if reason}
    return [group for group, reason in reasons.items() if not reason], left


def _absent(surveyed: Survey, group: Group) -> str:
    for name in group:
        if parametrize.is_parametrized(surveyed.model.get_submodule(name)):
            return f"{name!r} is parametrized"
        if not surveyed.recording.times(name):
            return f"{name!r} is not called on the example inputs"
    parent = group[0].rpartition(".")[0]
    reason = surveyed.untraced.get(parent)
    return reason or "its modules do not run one right after another"


def _candidates(straight: Straight) -> Iterator[list[list[fx.Node]]]:
    """For each first module the chains of known types that start with it, longest first."""
    for node in straight.graph.graph.nodes:
        chains: list[list[fx.Node]] = []
        chain = [node] if node.op == "call_module" else []
        while chain:
            chains.append(chain)
            users = [user for user in chain[-1].users if _extends(straight, chain, user)]
            chain = [*chain, users[0]] if users else []
        yield [each for each in reversed(chains) if _types(straight, each) in _KNOWN]


def _extends(straight: Straight, chain: list[fx.Node], user: fx.Node) -> bool:
    if user.op != "call_module" or input_of(user) is not chain[-1]:
        return False
    types = _types(straight, [*chain, user])
    return any(known[: len(types)] == types for known in _KNOWN)


def _types(straight: Straight, chain: list[fx.Node]) -> tuple[type[nn.Module], ...]:
    return tuple(type(straight.graph.get_submodule(str(node.target))) for node in chain)


def _obstacle(surveyed: Survey, straight: Straight, chain: list[fx.Node]) -> str | None:
    """Why a chain cannot be fused, or None."""
    names = [straight.name(node) for node in chain]
    modules = [surveyed.model.get_submodule(name) for name in names]
    for name, module, node in zip(names, modules, chain, strict=True):
        reason = _module_obstacle(surveyed, straight, name, module)
        if reason:
            return reason
        if node is not chain[-1] and (len(node.users) > 1):
            return f"the output of {name!r} is used elsewhere too"
    if len(modules) > 1 and isinstance(modules[1], nn.modules.batchnorm._BatchNorm):
        return _norm_obstacle(surveyed, names, modules)
    return None


def _module_obstacle(
    surveyed: Survey, straight: Straight, name: str, module: nn.Module
) -> str | None:
    shared = surveyed.shared(straight, name)
    if shared:
        return f"{name!r} {shared}"
    if has_hooks(module):
        return f"{name!r} has hooks, which see its input or output"
    if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
        return f"{name!r} is in training mode"
    return None


def _norm_obstacle(surveyed: Survey, names: list[str], modules: list[Any]) -> str | None:
    conv, norm = modules[:2]
    if any(module.training for module in modules):
        return f"{names[0]!r} is in training mode"
    if norm.running_mean is None or norm.running_var is None:
        return f"{names[1]!r} keeps no running statistics"
    shape = surveyed.recording.outputs.get(names[0])
    if shape is None or len(shape) != _RANKS[type(conv)]:
        return f"the output of {names[0]!r} has no batch, so {names[1]!r} works on another axis"
    if norm.num_features != conv.out_channels:
        return f"{names[1]!r} has {norm.num_features} channels and {names[0]!r} {conv.out_channels}"
    try:
        map_ = affine(norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps)
        fold_after(Weights(conv.weight, conv.bias, groups=conv.groups), map_)
    except Unfoldable as reason:
        return str(reason)
    return None
