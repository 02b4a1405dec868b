"""What a forward pass costs when its input is new each time, or the allocator gives memory back."""

from statistics import median

from benchmarks import _suite
from benchmarks._suite import setup_cache

__all__ = [
    "setup",
    "setup_cache",
    "track_allocations",
    "track_latency",
    "track_page_faults",
]

params = [_suite.MEMORY_MODELS, _suite.MEMORY_RECIPES, _suite.MEMORY_CONDITIONS]
param_names = [*_suite.PARAM_NAMES, "memory"]


def setup(folder, model, recipe, memory):
    """Export and measure, or skip with the reason."""
    _suite.remembered(folder, model, recipe, memory)


def track_latency(folder, model, recipe, memory):
    """One forward pass, with whatever the condition does about its input."""
    return {"samples": _suite.remembered(folder, model, recipe, memory)["seconds"], "number": 1}


def track_page_faults(folder, model, recipe, memory):
    """Page faults of one forward pass: the median of a few rounds."""
    return median(_suite.remembered(folder, model, recipe, memory)["page_faults"])


def track_allocations(folder, model, recipe, memory):
    """Tensors' requests for memory in one forward pass, its input included."""
    return _suite.remembered(folder, model, recipe, memory)["allocations"]


track_latency.unit = "seconds"
track_page_faults.unit = "page faults"
track_allocations.unit = "allocations"
for _each in (track_latency, track_page_faults, track_allocations):
    _each.version = "1"
