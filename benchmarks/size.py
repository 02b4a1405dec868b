"""How large the file on the phone is."""

from benchmarks import _suite
from benchmarks._suite import setup_cache

__all__ = ["setup", "setup_cache", "track_artifact"]

params = _suite.PARAMS
param_names = _suite.PARAM_NAMES


def setup(folder, model, recipe):
    """Export, or skip with the reason."""
    _suite.skip_or_export(folder, model, recipe)


def track_artifact(folder, model, recipe):
    """Bytes of the exported file."""
    return _suite.manifest(_suite.skip_or_export(folder, model, recipe))["size"]


track_artifact.unit = "bytes"
track_artifact.version = "1"
