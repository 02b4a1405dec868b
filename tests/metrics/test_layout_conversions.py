import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.metrics import layout_conversions
from mobileopt.trace import Call, TensorLayout, Trace

NCHW = TensorLayout((1, 8, 4, 4), (128, 16, 4, 1))
NHWC = TensorLayout((1, 8, 4, 4), (128, 1, 32, 8))


def count(operator, *tensors, depth=2):
    return layout_conversions.count(Trace((Call(operator, depth, tensors),)))


@pytest.mark.parametrize(("to", "source"), [(NCHW, NHWC), (NHWC, NCHW)])
def test_a_copy_between_nchw_and_nhwc_is_a_conversion_however_deep_it_is_called(to, source):
    assert count("aten::copy_", to, source) == 1


def test_a_copy_that_keeps_the_order_is_none():
    assert count("aten::copy_", NHWC, NHWC) == 0


def test_a_part_of_a_larger_tensor_made_contiguous_is_none():
    part = TensorLayout((1, 4, 4, 4), (128, 16, 4, 1))
    assert count("aten::copy_", TensorLayout((1, 4, 4, 4), (64, 16, 4, 1)), part) == 0


def test_dimensions_of_one_element_lie_nowhere_in_particular():
    flat, strided = (
        TensorLayout((1, 8, 1, 1), (8, 1, 1, 1)),
        TensorLayout((1, 8, 1, 1), (8, 1, 8, 8)),
    )
    assert count("aten::copy_", flat, strided) == 0


def test_a_bias_broadcast_over_a_batch_is_no_conversion():
    bias = TensorLayout((4, 10), (0, 1))
    assert count("aten::copy_", TensorLayout((4, 10), (10, 1)), bias) == 0


def test_the_channel_shuffle_of_shufflenet_is_one():
    shuffled = TensorLayout((1, 29, 2, 14, 14), (11368, 196, 5684, 14, 1))
    straight = TensorLayout((1, 29, 2, 14, 14), (11368, 392, 196, 14, 1))
    assert count("aten::copy_", straight, shuffled) == 1


def test_a_copy_of_another_shape_and_other_operators_are_none():
    assert count("aten::copy_", NCHW, TensorLayout((), ())) == 0
    assert count("aten::add", NCHW, NHWC) == 0
    assert count("aten::copy_", NCHW) == 0


@given(st.permutations(range(4)), st.permutations(range(4)))
def test_two_dense_tensors_convert_exactly_when_their_orders_differ(mine, theirs):
    assert count("aten::copy_", dense(mine), dense(theirs)) == (mine != theirs)


def dense(order, shape=(2, 3, 4, 5)):
    strides, step = [0] * 4, 1
    for axis in order:
        strides[axis], step = step, step * shape[axis]
    return TensorLayout(shape, tuple(strides))
