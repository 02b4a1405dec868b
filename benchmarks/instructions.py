"""How many instructions a forward pass takes, which a busy machine cannot change."""

from benchmarks import _suite
from benchmarks._suite import setup_cache

__all__ = ["setup", "setup_cache", "track_forward"]

params = [_suite.COUNTED_MODELS, _suite.COUNTED_RECIPES]
param_names = _suite.PARAM_NAMES


def setup(folder, model, recipe):
    """Export and count, or skip with the reason."""
    _suite.instructions(folder, model, recipe)


def track_forward(folder, model, recipe):
    """Instructions of one warm forward pass on one thread, counted by callgrind."""
    return _suite.instructions(folder, model, recipe)


# The first combination counts for all of them.
timeout = 7200
track_forward.unit = "instructions"
track_forward.version = "1"
