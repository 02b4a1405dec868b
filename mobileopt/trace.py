"""What torch did in one forward pass: the operators it called and the memory it asked for.

Recorded by `mobileopt.tracer`, judged by the deterministic ones of `mobileopt.metrics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TensorLayout:
    """Shape and strides of a tensor, in elements; both empty for a scalar."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Call:
    """One call of an operator: `aten::conv2d`, and the layouts of its tensor arguments.

    `depth` is 0 for a call the model makes itself; an operator's own calls lie one deeper.
    """

    operator: str
    depth: int
    tensors: tuple[TensorLayout, ...] = ()


@dataclass(frozen=True)
class Trace:
    """One warm forward pass: calls in order, bytes of each allocation, FLOPs by operator.

    `flops` has only those operators for which torch knows a formula.
    """

    calls: tuple[Call, ...]
    allocations: tuple[int, ...] = ()
    flops: Mapping[str, int] = field(default_factory=dict[str, int])
