import pytest
import torch
from torch import nn

from mobileopt.errors import CombinationError
from mobileopt.optimizations import convert_channels_last


def net():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()).eval()


def image():
    return torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def is_nhwc(tensor):
    return tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("inside", [True, False])
def test_weights_become_channels_last_and_answers_stay(inside):
    module = net()
    result = convert_channels_last.apply(module, (image(),), inside=inside)
    assert all(is_nhwc(each) for each in result.module.parameters() if each.dim() == 4)
    torch.testing.assert_close(result.module(image()), module(image()))


def test_the_module_that_is_converted_stays_as_it_was():
    module = net()
    convert_channels_last.apply(module, (image(),))
    assert not is_nhwc(module[0].weight)


def test_converting_inside_hands_channels_last_to_the_model():
    seen = []
    module = net()
    wrapped = convert_channels_last.apply(module, (image(),), inside=True).module
    wrapped.module[0].register_forward_pre_hook(lambda _, inputs: seen.append(is_nhwc(inputs[0])))
    wrapped(image())
    assert seen == [True]


def test_the_wrapped_model_scripts():
    wrapped = convert_channels_last.apply(net(), (image(),), inside=True).module
    torch.testing.assert_close(torch.jit.script(wrapped)(image()), wrapped(image()))


def test_inputs_keep_their_values_and_2d_ones_their_layout():
    four, two = convert_channels_last.inputs((image(), torch.ones(2, 3)))
    assert is_nhwc(four)
    assert torch.equal(four, image())
    assert two.is_contiguous()


def test_a_model_without_4d_inputs_is_refused_with_its_shape():
    with pytest.raises(
        CombinationError, match=r"needs a 4-D input, the model's is of shape \(2, 3"
    ):
        convert_channels_last.apply(nn.Linear(3, 1), (torch.ones(2, 3),))


def test_a_model_of_two_inputs_cannot_convert_inside():
    with pytest.raises(CombinationError, match="exactly one input, the model has 2"):
        convert_channels_last.apply(net(), (image(), image()), inside=True)
