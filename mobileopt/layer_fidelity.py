"""Where an optimized model parts from its original: the noise of each layer's output.

Both run on the same inputs and their layers are matched by name, as PyTorch's Numeric Suite does
(torch.ao.ns, "Compare model outputs at corresponding locations"). So a layer's noise is what it
adds and what it was given; the first of a run of noisy layers is the one to look at.

A layer that was fused answers what the last of the layers in it did. Those are found by following
the original's tensors: a layer that is gone, and that took its input straight from a layer that
is not, has gone into it. A tensor that was written to on the way, as by ``+=``, ends the chain.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.ao.nn.intrinsic.modules.fused import _FusedModule

from mobileopt.optimizations.convert_channels_last import ChannelsLast

_CLAMPS = (nn.ReLU, nn.Hardtanh)  # ReLU6 is a Hardtanh
Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class Layer:
    """One layer of the optimized model: its noise is rms error over the original's rms.

    `name` ends in ``#2`` at the second call of a layer; `against` is the layer of the original
    whose output it was compared with.
    """

    name: str
    kind: str
    against: str
    noise: float


@dataclass(frozen=True)
class LayerFidelity:
    """The layers that both models have, worst first, and why each other layer is missing."""

    layers: tuple[Layer, ...]
    vanished: Mapping[str, str]


@dataclass
class _Call:
    """One call of a layer: its module, its output as float64, and the call it took its input of."""

    module: nn.Module
    output: Tensor | None
    before: str | None


@dataclass
class _Sums:
    error: float = 0.0
    reference: float = 0.0

    @property
    def noise(self) -> float:
        if self.reference:
            return math.sqrt(self.error / self.reference)
        return math.inf if self.error else 0.0


@dataclass
class _Account:
    sums: dict[str, _Sums] = field(default_factory=dict[str, _Sums])
    against: dict[str, str] = field(default_factory=dict[str, str])
    kinds: dict[str, str] = field(default_factory=dict[str, str])
    vanished: dict[str, str] = field(default_factory=dict[str, str])


def compare(
    original: nn.Module, optimized: nn.Module, inputs: Iterable[tuple[Batch, Batch]]
) -> LayerFidelity:
    """Judge each layer over `inputs`: pairs of the same values for the original and the optimized.

    Quantized outputs are dequantized. Layers that answer something else than one tensor are left
    out. A quantized model must be run under its engine.
    """
    account = _Account()
    for given, given_optimized in inputs:
        with torch.no_grad():
            expected = _record(original, given)
            found = _record(_unwrapped(optimized), given_optimized)
        _add(account, expected, _renamed(found, expected))
    layers = [
        Layer(name, account.kinds[name], account.against[name], sums.noise)
        for name, sums in account.sums.items()
    ]
    worst_first = sorted(layers, key=lambda layer: -layer.noise)
    return LayerFidelity(tuple(worst_first), account.vanished)


def _unwrapped(module: nn.Module) -> nn.Module:
    return module.module if isinstance(module, ChannelsLast) else module


class _Recorder:
    """Every call of a layer in the order of execution, by the layer's name."""

    def __init__(self) -> None:
        self.calls: dict[str, _Call] = {}
        self._makers: dict[int, tuple[str, int]] = {}
        self._alive: list[Tensor] = []  # an id names a tensor only while the tensor lives
        self._counts: Counter[str] = Counter()
        self._before: str | None = None

    def enter(self, given: tuple[Any, ...]) -> None:
        """Note which call the first tensor is from, unless it was written to since."""
        taken = next((each for each in given if isinstance(each, Tensor)), None)
        maker, version = self._makers.get(id(taken), (None, -1))
        self._before = maker if taken is not None and taken._version == version else None

    def leave(self, name: str, module: nn.Module, output: Any) -> None:
        """Note a call and what it answered; layers that are recorded hold no others."""
        self._counts[name] += 1
        count = self._counts[name]
        name = f"{name}#{count}" if count > 1 else name
        self.calls[name] = _Call(module, _plain(output), self._before)
        if isinstance(output, Tensor):
            self._makers[id(output)] = (name, output._version)
            self._alive.append(output)


def _record(model: nn.Module, inputs: Batch) -> dict[str, _Call]:
    recorder = _Recorder()
    with ExitStack() as hooks:
        for name, module in _layers(model):
            hooks.callback(module.register_forward_pre_hook(_entering(recorder)).remove)
            hooks.callback(module.register_forward_hook(_leaving(recorder, name)).remove)
        model(*inputs)
    return recorder.calls


def _entering(recorder: _Recorder) -> Callable[[nn.Module, Any], None]:
    return lambda _, given: recorder.enter(given)


def _leaving(recorder: _Recorder, name: str) -> Callable[[nn.Module, Any, Any], None]:
    return lambda module, _, output: recorder.leave(name, module, output)


def _layers(model: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that compute: those without children, and fused and quantized ones."""
    whole = isinstance(model, _FusedModule) or ".quantized" in type(model).__module__
    children = list(model.named_children())
    if path and (whole or not children):
        yield path, model
        return
    for name, child in children:
        yield from _layers(child, f"{path}.{name}" if path else name)


def _plain(output: Any) -> Tensor | None:
    if not isinstance(output, Tensor):
        return None
    plain = output.dequantize() if output.is_quantized else output
    return plain.detach().to(torch.float64, copy=True, memory_format=torch.contiguous_format)


def _renamed(found: dict[str, _Call], expected: dict[str, _Call]) -> dict[str, _Call]:
    """The first part of a fused layer under the layer's own name: tracing goes into those."""
    return {_outer(name) if _outer(name) in expected else name: found[name] for name in found}


def _outer(name: str) -> str:
    base, mark, count = name.partition("#")
    return base.removesuffix(".0") + mark + count


def _add(account: _Account, expected: dict[str, _Call], found: dict[str, _Call]) -> None:
    there = {name for name, call in found.items() if not isinstance(call.module, nn.Identity)}
    gone = [name for name in expected if name not in there]
    ends = {name: name for name in expected if name in there}
    into: dict[str, str] = {}
    for name in gone:  # in the order of execution, so a chain is followed link by link
        before = expected[name].before
        head = into.get(before, before) if before else None
        if head in ends and ends[head] == before:
            ends[head], into[name] = name, head
    for name in gone:
        reason = f"part of {into[name]}" if name in into else "no layer of its own any more"
        if not isinstance(expected[name].module, nn.Identity):
            account.vanished[name] = reason
    for name, end in ends.items():
        _compare(account, name, end, expected[end], found[name])


def _compare(account: _Account, name: str, end: str, expected: _Call, found: _Call) -> None:
    reference, answer = expected.output, found.output
    if reference is None or answer is None or reference.shape != answer.shape:
        return
    if "ReLU" in type(found.module).__name__ and not isinstance(expected.module, _CLAMPS):
        reference = reference.clamp(min=0)  # the original calls a function where this has a layer
    sums = account.sums.setdefault(name, _Sums())
    sums.error += float((answer - reference).square().sum())
    sums.reference += float(reference.square().sum())
    account.against[name] = end
    account.kinds[name] = type(found.module).__name__
