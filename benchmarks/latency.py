"""How long a forward pass takes."""

from benchmarks import _suite
from benchmarks._suite import setup_cache

__all__ = ["setup", "setup_cache", "time_forward"]

params = _suite.PARAMS
param_names = _suite.PARAM_NAMES


def setup(folder, model, recipe):
    """Load and warm up once a process; asv calls this before every sample."""
    _suite.warm(_suite.skip_or_export(folder, model, recipe))


def time_forward(folder, model, recipe):
    """One forward pass of a warm model on one thread, batch 1."""
    _suite.warm(_suite.skip_or_export(folder, model, recipe))()


# One pass a sample, kept raw; processes are what varies, so several of them.
time_forward.number = 1
time_forward.repeat = 10
time_forward.rounds = 2
time_forward.warmup_time = 0
time_forward.version = "2"
