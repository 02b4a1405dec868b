from dataclasses import replace

import pytest
import torch
from torch import nn

from mobileopt import execution, network, recipes, tracer
from mobileopt.build import Workshop, export
from mobileopt.errors import CapabilityError
from mobileopt.metrics import allocations, flops, layout_conversions, operators

RECIPES = (
    "unfused-float-nchw-eager",
    "unfused-float-nchw-torchscript",
    "unfused-float-nchw-mobile",
    "unfused-float-nhwc-mobile",
    "fused-float-nhwc-lite",
    "fused-int8_x86-nhwc-mobile",
)


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """Two traces of every recipe, each from its own loading of the artifact."""
    out = tmp_path_factory.mktemp("artifacts")
    workshop = Workshop(network.load("annotated_conv_bn_relu"))
    return {recipe: [trace(workshop, recipe, out) for _ in range(2)] for recipe in RECIPES}


def trace(workshop, recipe, out):
    folder = export(workshop, recipes.parse(recipe), out).folder
    forward = execution.load(folder)[1]
    execution.warm_up(forward)
    return tracer.record(forward)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_artifact_has_the_same_trace_whenever_it_is_recorded(traces, recipe):
    first, second = traces[recipe]
    assert first == second


def test_the_operators_of_eager_and_script_are_those_the_model_is_written_with(traces):
    eager = operators.histogram(traces["unfused-float-nchw-eager"][0])
    assert eager["aten::conv2d"] == eager["aten::batch_norm"] > 0
    assert operators.histogram(traces["unfused-float-nchw-torchscript"][0]) == eager


def test_the_mobile_rewrite_folds_batchnorm_and_packs_the_convolutions(traces):
    mobile = operators.histogram(traces["unfused-float-nhwc-mobile"][0])
    assert "prepacked::conv2d_clamp_run" in mobile
    assert "aten::batch_norm" not in mobile


def test_the_packed_kernels_convert_an_nchw_input_and_leave_an_nhwc_one(traces):
    count = {name: layout_conversions.count(both[0]) for name, both in traces.items()}
    assert count["unfused-float-nchw-mobile"] > 0
    assert count["unfused-float-nhwc-mobile"] == count["fused-float-nhwc-lite"] == 0


def test_packed_and_quantized_operators_have_no_flops(traces):
    for recipe in ("unfused-float-nhwc-mobile", "fused-int8_x86-nhwc-mobile"):
        with pytest.raises(CapabilityError, match="packed weights hide their shapes"):
            flops.count(traces[recipe][0])


def test_a_multiply_add_is_two_flops():
    layer, image = nn.Conv2d(3, 8, 3, padding=1), torch.randn(1, 3, 10, 10)
    assert flops.count(tracer.record(lambda: layer(image))) == 2 * (8 * 10 * 10) * (3 * 3 * 3)


def test_one_result_is_one_allocation_of_its_bytes():
    a = torch.randn(100)
    found = tracer.record(lambda: a + a)
    assert allocations.count(found) == 1
    assert allocations.total_bytes(found) == 400


def test_the_conversion_inside_a_model_is_seen_once():
    image = torch.randn(1, 3, 8, 8)
    found = tracer.record(lambda: image.contiguous(memory_format=torch.channels_last))
    assert layout_conversions.count(found) == 1


def test_a_runtime_that_is_not_torchs_cannot_be_recorded_and_says_so():
    with pytest.raises(CapabilityError, match="another runtime runs it"):
        tracer.record(lambda: None)


def test_a_trace_of_an_executorch_program_would_say_nothing_of_it_so_it_is_refused(tmp_path):
    workshop = Workshop(network.load("annotated_conv_bn_relu"))
    made = export(workshop, recipes.parse("unfused-float-nchw-torchscript"), tmp_path)
    assert tracer.refusal(made) is None
    program = replace(made, file="model.pte")
    assert "torch's profiler cannot see" in tracer.refusal(program)
