"""How much memory loading and running takes."""

from benchmarks import _suite
from benchmarks._suite import setup_cache

__all__ = ["peakmem_forward", "setup", "setup_cache", "track_increment"]

params = _suite.PARAMS
param_names = _suite.PARAM_NAMES


def setup(folder, model, recipe):
    """Export outside of the measured process."""
    _suite.skip_or_export(folder, model, recipe)


def peakmem_forward(folder, model, recipe):
    """Peak of a process that imports torch, loads the artifact and runs it once."""
    _suite.cold(_suite.skip_or_export(folder, model, recipe))()


def track_increment(folder, model, recipe):
    """What loading and one forward pass add to a process that has imported torch."""
    from mobileopt.metrics import peak_memory

    return peak_memory.increment(_suite.cold(_suite.skip_or_export(folder, model, recipe)))


peakmem_forward.version = "1"
track_increment.version = "1"
track_increment.unit = "bytes"
