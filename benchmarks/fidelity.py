"""How far a variant's answers are from the original's. asv takes more for worse, so errors."""

from benchmarks import _suite
from benchmarks._suite import setup_cache

__all__ = ["setup", "setup_cache", "track_noise", "track_top1_disagreement"]

params = _suite.PARAMS
param_names = _suite.PARAM_NAMES


def setup(folder, model, recipe):
    """Export, or skip with the reason."""
    _suite.skip_or_export(folder, model, recipe)


def _fidelity(folder, model, recipe):
    return _suite.manifest(_suite.skip_or_export(folder, model, recipe))["fidelity"]


def track_noise(folder, model, recipe):
    """Rms error over the reference's rms; the SQNR in decibels is -20 log10 of it."""
    return _fidelity(folder, model, recipe)["noise"]


def track_top1_disagreement(folder, model, recipe):
    """Fraction of inputs whose most likely class is another one."""
    return 1 - _fidelity(folder, model, recipe)["top1_agreement"]


track_noise.unit = "ratio"
track_noise.version = "1"
track_top1_disagreement.unit = "fraction"
track_top1_disagreement.version = "1"
