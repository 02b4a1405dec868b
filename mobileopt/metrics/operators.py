"""Which operators a forward pass calls, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from mobileopt.trace import Trace


def histogram(trace: Trace) -> Mapping[str, int]:
    """Calls of each operator, most called first, then by name.

    Only what the model calls itself: `aten::conv2d` is one call, whatever it calls in turn. Counted
    as it runs, so a branch that is not taken and a call that an interpreter folded do not count.
    """
    called = Counter(call.operator for call in trace.calls if call.depth == 0)
    return dict(sorted(called.items(), key=lambda item: (-item[1], item[0])))


def total(trace: Trace) -> int:
    """Calls of all operators."""
    return sum(histogram(trace).values())
