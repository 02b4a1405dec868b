"""How often a forward pass asks the allocator for memory, and for how much."""

from __future__ import annotations

from mobileopt.trace import Trace


def count(trace: Trace) -> int:
    """Requests for a tensor's memory in one forward pass; what kernels pack in is not seen."""
    return len(trace.allocations)


def total_bytes(trace: Trace) -> int:
    """Bytes of all requests together: what passed through, not what was held at once."""
    return sum(trace.allocations)
