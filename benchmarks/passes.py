"""How long each optimization takes to apply."""

from benchmarks import _suite

params = [[*_suite.CORE_MODELS, "mlp"], _suite.OPTIMIZATIONS]
param_names = ["model", "optimization"]


def setup(model, optimization):
    """Build and calibrate the model once a process."""
    if model == "mlp" and optimization == "nhwc":
        raise NotImplementedError("mlp has 2-D inputs, which have no NHWC layout")
    _suite.optimization(model, optimization)


def time_apply(model, optimization):
    """Apply one optimization to an untouched model, int8 with its calibration."""
    _suite.optimization(model, optimization)()


time_apply.number = 1
time_apply.repeat = 3
time_apply.rounds = 2
time_apply.warmup_time = 0
time_apply.version = "1"
