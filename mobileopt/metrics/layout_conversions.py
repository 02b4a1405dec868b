"""Copies that only reorder a tensor in memory: what a mismatch of layouts costs in every pass."""

from __future__ import annotations

from mobileopt.trace import Call, TensorLayout, Trace

_COPY = "aten::copy_"  # what contiguous, clone, to and the packed kernels' own conversions end in


def count(trace: Trace) -> int:
    """Copies in one forward pass whose source and destination order their dimensions differently.

    NCHW to channels-last and back, a transposition made contiguous, a channel shuffle. Reorderings
    inside a kernel, as oneDNN's of its weights, do not go through torch and are not seen.
    """
    return sum(map(_converts, trace.calls))


def _converts(call: Call) -> bool:
    if call.operator != _COPY or len(call.tensors) < 2:
        return False
    destination, source = call.tensors[:2]
    return destination.shape == source.shape and _orders_differ(destination, source)


def _orders_differ(a: TensorLayout, b: TensorLayout) -> bool:
    # A dimension of one element, or one that is broadcast, lies nowhere in particular.
    kept = [
        axis
        for axis, size in enumerate(a.shape)
        if size > 1 and a.strides[axis] and b.strides[axis]
    ]
    return sorted(kept, key=a.strides.__getitem__) != sorted(kept, key=b.strides.__getitem__)
