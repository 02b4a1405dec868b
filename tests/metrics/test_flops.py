import pytest

from mobileopt.errors import CapabilityError
from mobileopt.metrics import flops
from mobileopt.trace import Call, Trace

COUNTED = {"aten.convolution": 30, "aten.addmm": 12}


def test_the_count_is_the_sum_over_the_operators_with_a_formula():
    assert flops.count(Trace((Call("aten::conv2d", 0),), (), COUNTED)) == 42


@pytest.mark.parametrize("hidden", ["prepacked::conv2d_clamp_run", "quantized::linear"])
def test_packed_weights_hide_their_shapes_so_there_is_no_count_and_a_reason(hidden):
    with pytest.raises(CapabilityError, match=f"in {hidden}; count the FLOPs of the float model"):
        flops.count(Trace((Call("aten::relu", 0), Call(hidden, 0)), (), COUNTED))
