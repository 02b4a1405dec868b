"""What a forward pass does, in counts that a busy machine cannot change."""

from benchmarks import _suite
from benchmarks._suite import setup_cache

__all__ = [
    "setup",
    "setup_cache",
    "track_allocations",
    "track_flops",
    "track_layout_conversions",
    "track_operator_calls",
]

params = _suite.PARAMS
param_names = _suite.PARAM_NAMES


def setup(folder, model, recipe):
    """Export and inspect, or skip with the reason."""
    _suite.inspected(folder, model, recipe)


def track_operator_calls(folder, model, recipe):
    """Operators the model calls in one forward pass."""
    return _suite.inspected(folder, model, recipe)["operator_calls"]


def track_layout_conversions(folder, model, recipe):
    """Copies that only reorder a tensor in memory, in one forward pass."""
    return _suite.inspected(folder, model, recipe)["layout_conversions"]


def track_allocations(folder, model, recipe):
    """Tensors' requests for memory in one forward pass."""
    return _suite.inspected(folder, model, recipe)["allocations"]


def track_flops(folder, model, recipe):
    """FLOPs of one forward pass, a multiply-add being two; float under eager and torchscript."""
    return _suite.flops(folder, model, recipe)


track_operator_calls.unit = "calls"
track_layout_conversions.unit = "conversions"
track_allocations.unit = "allocations"
track_flops.unit = "FLOPs"
track_flops.setup = _suite.flops
for _each in (track_operator_calls, track_layout_conversions, track_allocations, track_flops):
    _each.version = "1"
