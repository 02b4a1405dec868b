"""Whether two models' outputs are the same but for rounding."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from mobileopt.optimizations._tracing import copied, one_line, run

# Root mean square of the error over that of the reference. A hundred roundings' worth: a fold
# that is wrong is off by far more, a deep network that is right by less.
_TOLERANCE = {
    torch.float64: 1e-10,
    torch.float32: 1e-3,
    torch.float16: 5e-2,
    torch.bfloat16: 2e-1,
}


def fault(
    original: nn.Module, rewritten: nn.Module, inputs: tuple[Any, ...], expected: Any
) -> str | None:
    """One clause on what is wrong with a rewritten model, or None where nothing is.

    `expected` are the outputs of `original`. Where rounding decides which boxes a detector
    returns, float32 says nothing; float64 has the last word then.
    """
    try:
        clause = difference(expected, run(rewritten, inputs))
        if clause and _differs_in_float64(original, rewritten, inputs):
            return clause
    except Exception as error:  # forward may look at the modules it finds, in any way
        return f"does not run: {one_line(error)}"
    return None


def _differs_in_float64(original: nn.Module, rewritten: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether two float32 models, whose weights are equal but for rounding, differ as float64."""
    if any(tensor.dtype is not torch.float32 for tensor in original.parameters()):
        return True
    wide = tree_map(lambda x: x.double() if isinstance(x, Tensor) else x, inputs)
    try:
        outputs = [run(copied(model).double(), wide) for model in (original, rewritten)]
    except Exception:  # a forward that insists on float32 has no second opinion
        return True
    return difference(*outputs, tolerance=_TOLERANCE[torch.float32]) is not None


def difference(expected: Any, found: Any, tolerance: float | None = None) -> str | None:
    """One clause on how `found` differs from `expected`, or None where it does not.

    Mappings, sequences and tensors are compared by their leaves. Floating-point tensors may
    differ by `tolerance`, or else by rounding in proportion to the precision of their dtype;
    others not at all.
    """
    wanted, got = dict(_leaves(expected)), dict(_leaves(found))
    if wanted.keys() != got.keys():
        return f"has outputs {sorted(got)} instead of {sorted(wanted)}"
    for name, value in wanted.items():
        clause = _difference(value, got[name], tolerance)
        if clause:
            return f"differs in output{name}: {clause}"
    return None


def error(expected: Any, found: Any) -> float:
    """The largest over the outputs of RMS(found - expected) / RMS(expected), in float64.

    Raises KeyError when `found` lacks an output of `expected`.
    """
    got = dict(_leaves(found))
    pairs = [(v, got[k]) for k, v in _leaves(expected) if isinstance(v, Tensor)]
    return max((_noise(v, w) for v, w in pairs if v.is_floating_point()), default=0.0)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key in value:
            yield from _leaves(value[key], f"{path}[{key!r}]")
    elif isinstance(value, (tuple, list)):
        for position, each in enumerate(value):
            yield from _leaves(each, f"{path}[{position}]")
    else:
        yield path, value


def _difference(expected: Any, found: Any, tolerance: float | None) -> str | None:
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor):
        return None if repr(expected) == repr(found) else f"{found!r} instead of {expected!r}"
    if (expected.shape, expected.dtype) != (found.shape, found.dtype):
        return (
            f"{tuple(found.shape)} of {found.dtype} instead of "
            f"{tuple(expected.shape)} of {expected.dtype}"
        )
    if not expected.is_floating_point():
        return None if torch.equal(expected, found) else "another value"
    noise = _noise(expected, found)
    if noise <= (tolerance or _TOLERANCE.get(expected.dtype, 0.2)):
        return None
    return f"relative error {noise:.1e}"


def _noise(expected: Tensor, found: Tensor) -> float:
    a, b = expected.detach().double(), found.detach().double()
    # Where both are the same infinity, or both not a number, there is no error.
    error = torch.where((a == b) | (a.isnan() & b.isnan()), torch.zeros_like(a), b - a)
    scale = a[a.isfinite()].square().mean().sqrt() if a.isfinite().any() else a.new_zeros(())
    noise = error.square().mean().sqrt() if error.numel() else error.new_zeros(())
    if noise == 0:
        return 0.0
    ratio = float(noise / scale) if scale > 0 else math.inf
    return math.inf if math.isnan(ratio) else ratio
