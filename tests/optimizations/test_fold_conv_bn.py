from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from folding import EXACT, Graph, count, folded, image, ready
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from mobileopt.errors import InputError
from mobileopt.optimizations import fold_conv_bn
from mobileopt.optimizations._checking import difference, error

# torch.jit.script warns of an annotation in torch's own GraphModule.

LAYERS = {
    "conv1d": (nn.Conv1d, nn.BatchNorm1d, 1),
    "conv2d": (nn.Conv2d, nn.BatchNorm2d, 2),
    "conv3d": (nn.Conv3d, nn.BatchNorm3d, 3),
    "transposed_conv1d": (nn.ConvTranspose1d, nn.BatchNorm1d, 1),
    "transposed_conv2d": (nn.ConvTranspose2d, nn.BatchNorm2d, 2),
    "transposed_conv3d": (nn.ConvTranspose3d, nn.BatchNorm3d, 3),
}


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("groups", [1, 2, 4], ids=["full", "grouped", "depthwise"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_convolution_is_folded_exactly_and_scripts(name: str, groups: int, bias: bool):
    conv, norm, axes = LAYERS[name]
    model = ready(nn.Sequential(conv(4, 8, 3, stride=2, groups=groups, bias=bias), norm(8)))
    x = torch.randn(2, 4, *[7] * axes, dtype=torch.float64)
    result = folded(model, x)
    assert result.folded == ("1",)
    assert not result.left
    assert count(result.module) == 0
    assert difference(model(x), torch.jit.script(result.module)(x)) is None


def test_the_result_exports():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()))
    result = folded(model, image())
    exported = torch.export.export(result.module, (image(),))
    assert difference(model(image()), exported.module()(image())) is None


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [0, 2, "same", "valid"])
def test_every_padding_is_folded_exactly(mode: str, padding: int | str):
    conv = nn.Conv2d(3, 4, 3, padding=padding, padding_mode=mode)
    assert folded(ready(nn.Sequential(conv, nn.BatchNorm2d(4))), image()).folded == ("1",)


def test_linear_with_batchnorm_of_rows_is_folded():
    model = ready(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6)))
    assert folded(model, torch.randn(3, 5, dtype=torch.float64)).folded == ("1",)


def test_linear_with_batchnorm_of_another_axis_is_left():
    model = ready(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6)))
    result = folded(model, torch.randn(2, 6, 5, dtype=torch.float64))
    assert result.left["1"].startswith("its input has 3 axes, not the 2")


def test_an_unbatched_conv1d_whose_norm_takes_the_length_for_channels_is_left():
    model = ready(nn.Sequential(nn.Conv1d(2, 6, 1), nn.BatchNorm1d(6)))
    result = folded(model, torch.randn(2, 6, dtype=torch.float64))
    assert result.left["1"].startswith("its input has 2 axes, not the 3")


def test_a_norm_without_weights_is_folded():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)))
    assert folded(model, image()).folded == ("1",)


def test_a_linear_layer_before_a_norm_without_weights_is_folded():
    model = ready(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6, affine=False)))
    assert folded(model, torch.randn(3, 5, dtype=torch.float64)).folded == ("1",)


def test_a_norm_with_no_eps_is_folded():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=0)))
    assert folded(model, image()).folded == ("1",)


def test_a_norm_that_divides_by_nothing_is_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=0)))
    model[1].running_var[2] = 0
    assert folded(model, image()).left["1"].startswith("the folded weights are not finite")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_every_floating_point_dtype_is_folded_and_kept(dtype: torch.dtype):
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), dtype)
    result = folded(model, image(dtype=dtype), tolerance=8 * torch.finfo(dtype).eps)
    assert result.folded == ("1",)
    assert result.module.get_submodule("0").weight.dtype is dtype


def test_a_half_precision_conv_with_single_precision_statistics_is_folded():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.float32)
    model[0].to(torch.bfloat16)
    result = folded(model, image(dtype=torch.bfloat16), tolerance=0.05)
    assert result.folded == ("1",)


def test_a_frozen_norm_that_widens_the_dtype_is_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), FrozenBatchNorm2d(4)), torch.float32)
    model[0].to(torch.bfloat16)
    result = folded(model, image(dtype=torch.bfloat16))
    assert result.left["1"].startswith("it changes the dtype")


def test_weights_too_small_for_half_precision_are_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.float16)
    model[1].weight.data.fill_(1e-6)
    result = folded(model, image(dtype=torch.float16))
    assert result.left["1"] == "the folded weights are too small for torch.float16"


def test_weights_too_large_for_half_precision_are_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.float16)
    model[1].weight.data.fill_(60000)
    model[1].running_var.data.fill_(1e-6)
    left = fold_conv_bn.apply(model, (image(dtype=torch.float16),)).left
    assert left["1"] == "the folded weights are not finite in torch.float16"


def test_channels_last_weights_stay_channels_last():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    model = model.to(memory_format=torch.channels_last)
    result = folded(model, image().contiguous(memory_format=torch.channels_last))
    weight = result.module.get_submodule("0").weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_frozen_parameters_stay_frozen():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))).requires_grad_(False)
    result = folded(model, image())
    assert not any(parameter.requires_grad for parameter in result.module.parameters())


def test_two_norms_in_a_row_are_both_folded():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)))
    assert folded(model, image()).folded == ("1", "2")


@pytest.mark.parametrize("between", [nn.Identity(), nn.Dropout(), nn.Dropout2d(inplace=True)])
def test_what_returns_its_input_may_stand_between(between: nn.Module):
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), between, nn.BatchNorm2d(4)))
    assert folded(model, image()).folded == ("2",)


def test_a_functional_dropout_may_stand_between():
    model = ready(
        Graph(
            lambda m, x: m.norm(F.dropout(m.conv(x), training=m.training)),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).folded == ("norm",)


def test_a_dropout_in_training_mode_stops_the_fold():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.BatchNorm2d(4)))
    model[1].train()
    left = fold_conv_bn.apply(model, (image(),)).left
    assert left == {"2": "its input comes from '1' (Dropout), not from a layer alone"}


def test_arguments_by_keyword_are_folded():
    model = ready(
        Graph(
            lambda m, x: m.norm(input=m.conv(input=x)),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).folded == ("norm",)


def test_a_transposed_conv_told_its_output_size_is_folded():
    model = ready(
        Graph(
            lambda m, x: m.norm(m.conv(x, output_size=[20, 20])),
            conv=nn.ConvTranspose2d(3, 4, 3, stride=2),
            norm=nn.BatchNorm2d(4),
        )
    )
    assert folded(model, image()).folded == ("norm",)


def test_a_norm_in_training_mode_is_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    model[1].train()
    left = fold_conv_bn.apply(model, (image(),)).left
    assert left == {"1": "is in training mode: it normalises by the batch"}


def test_a_model_in_training_mode_keeps_its_statistics():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double()
    before = model[1].running_mean.clone()
    assert fold_conv_bn.apply(model, (image(),)).left.keys() == {"1"}
    assert torch.equal(model[1].running_mean, before)


def test_a_norm_without_running_statistics_is_left():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), norm))
    assert folded(model, image()).left == {
        "1": "keeps no running statistics: it normalises by the batch"
    }


class MyConv(nn.Conv2d):
    pass


class Doubling(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias) * 2


class Halved(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias) / 2


def test_a_subclass_that_computes_the_same_is_folded():
    assert folded(ready(nn.Sequential(MyConv(3, 4, 3), nn.BatchNorm2d(4))), image()).folded


def test_a_subclass_that_computes_something_else_is_taken_for_what_it_computes():
    result = folded(ready(nn.Sequential(Doubling(3, 4, 3), nn.BatchNorm2d(4))), image())
    assert result.left == {"1": "its input comes from mul, not from a layer alone"}
    assert folded(ready(nn.Sequential(nn.Conv2d(3, 4, 3), Halved(4))), image()).folded == ("1",)


@pytest.mark.parametrize("norm", [nn.SyncBatchNorm, FrozenBatchNorm2d])
def test_other_norms_of_the_same_arithmetic_are_folded(norm: type[nn.Module]):
    assert folded(ready(nn.Sequential(nn.Conv2d(3, 4, 3), norm(4))), image()).folded == ("1",)


def test_a_frozen_norm_that_broadcasts_is_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), FrozenBatchNorm2d(1)))
    assert folded(model, image()).left == {"1": "it has 1 channels and the layer 4"}


def test_a_frozen_norm_that_scales_another_axis_is_left():
    model = ready(nn.Sequential(nn.Conv3d(2, 4, 1), FrozenBatchNorm2d(4)))
    x = torch.randn(1, 2, 4, 5, 5, dtype=torch.float64)
    assert folded(model, x).left == {"1": "it is made for 4 axes, and its input has 5"}


class Functional(nn.Module):
    def __init__(self, **options) -> None:
        super().__init__()
        self.conv, self.norm, self.options = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), options

    def forward(self, x: Tensor) -> Tensor:
        n = self.norm
        x = F.conv2d(x, self.conv.weight, self.conv.bias, stride=2)
        return F.batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias, **self.options)


def test_functional_calls_are_folded():
    result = folded(ready(Functional()), image())
    assert result.folded == ("norm",)
    assert "norm.running_mean" not in result.module.state_dict()
    torch.jit.script(result.module)


def test_a_functional_norm_in_training_mode_is_left():
    model = ready(Functional(training=True))
    left = fold_conv_bn.apply(model, (image(),)).left
    assert left == {"norm": "is in training mode: it normalises by the batch"}


def test_a_norm_before_a_conv_without_padding_is_folded():
    model = ready(nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2)))
    assert folded(model, image(4)).folded == ("0",)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_a_norm_before_a_conv_that_pads_with_its_input_is_folded(mode: str):
    conv = nn.Conv2d(3, 4, 3, padding="same", padding_mode=mode, bias=False)
    assert folded(ready(nn.Sequential(nn.BatchNorm2d(3), conv)), image()).folded == ("0",)


@pytest.mark.parametrize("padding", [1, "same", (0, 1)])
def test_a_norm_before_a_conv_that_pads_with_zeros_is_left(padding):
    model = ready(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=padding)))
    assert folded(model, image()).left == {"0": "'1' pads it with zeros, and its shift is not 0"}


@pytest.mark.parametrize("conv", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_norm_that_does_not_shift_is_folded_through_zero_padding(conv):
    model = ready(nn.Sequential(nn.BatchNorm2d(4), conv(4, 4, 3, padding=1, groups=2)))
    model[0].running_mean.zero_()
    model[0].bias.data.zero_()
    assert folded(model, image(4)).folded == ("0",)


def test_a_norm_before_a_transposed_conv_is_left():
    model = ready(nn.Sequential(nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 4, 3)))
    assert "unevenly at the borders" in folded(model, image()).left["0"]


def test_a_norm_before_a_linear_layer_is_folded():
    model = ready(nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 6)))
    assert folded(model, torch.randn(3, 5, dtype=torch.float64)).folded == ("0",)


def test_a_norm_before_a_conv_is_left_when_its_output_is_used_elsewhere():
    model = ready(
        Graph(
            lambda m, x: m.conv(y := m.norm(x)).sum() + y.sum(),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).left.keys() == {"norm"}


def test_an_input_overwritten_between_norm_and_conv_is_read_before():
    def forward(m, x):
        y = m.norm(x)
        x.add_(1)
        return m.conv(y)

    model = ready(Graph(forward, conv=nn.Conv2d(3, 3, 3), norm=nn.BatchNorm2d(3)))
    result = fold_conv_bn.apply(model, (image(),))
    assert result.folded == ("norm",)
    with torch.no_grad():
        assert error(model(image()), result.module(image())) < EXACT


def test_a_norm_after_an_activation_is_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)))
    assert folded(model, image()).left == {
        "2": "its input comes from '1' (ReLU), not from a layer alone"
    }


def test_a_norm_that_is_not_called_is_reported():
    model = ready(Graph(lambda m, x: m.conv(x), conv=nn.Conv2d(3, 4, 3), aux=nn.BatchNorm2d(4)))
    assert folded(model, image()).left == {"aux": "it is not called on the example inputs"}


def test_a_model_of_dict_outputs_is_folded():
    model = ready(
        Graph(
            lambda m, x: {"out": m.norm(m.conv(x)), "in": [x]},
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).folded == ("norm",)


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor, mask: Tensor | None = None, *, double: bool = False) -> Tensor:
        y = self.norm(self.conv(x))
        if double:
            y = y * 2
        return y.relu() if mask is None else y + mask


def test_optional_arguments_left_out_keep_their_defaults():
    result = folded(ready(Optional()), image())
    assert result.folded == ("norm",)
    torch.jit.script(result.module)


def test_optional_arguments_given_are_taken():
    mask = torch.ones(7, 7, dtype=torch.float64)
    assert folded(ready(Optional()), image(), mask).folded == ("norm",)


def test_a_model_that_does_not_run_is_an_input_error():
    with pytest.raises(InputError, match="does not run on its example inputs"):
        fold_conv_bn.apply(nn.Conv2d(3, 4, 3), (torch.zeros(1, 5, 5, 5),))
    with pytest.raises(InputError, match="give a tuple"):
        fold_conv_bn.apply(nn.Conv2d(3, 4, 3), torch.zeros(1, 3, 5, 5))  # type: ignore[arg-type]
