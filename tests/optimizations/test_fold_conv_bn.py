from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torchvision.ops import FrozenBatchNorm2d

from mobileopt.errors import InputError
from mobileopt.optimizations import fold_conv_bn
from mobileopt.optimizations._checking import difference, error
from mobileopt.optimizations.result import Result

# torch.jit.script warns of an annotation in torch's own GraphModule.
pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, FrozenBatchNorm2d)
EXACT = 1e-12


def ready(model: nn.Module, dtype: torch.dtype = torch.float64) -> nn.Module:
    """In evaluation, with statistics and weights that are not what a new model has."""
    generator = torch.Generator().manual_seed(7)
    for module in model.modules():
        if isinstance(module, NORMS):
            for name, low in (("running_mean", -1), ("running_var", 0.5), ("bias", -1)):
                tensor = getattr(module, name)
                if tensor is not None:
                    tensor.data = torch.rand(tensor.shape, generator=generator) + low
            if module.weight is not None:
                module.weight.data = torch.rand(module.weight.shape, generator=generator) - 0.3
    return model.eval().to(dtype)


def image(channels: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(
        2, channels, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).to(dtype)


def folded(model: nn.Module, *inputs: object, tolerance: float = EXACT) -> Result:
    """Fold, check the outputs and that the input is as it was, and hand the result on."""
    before = copy.deepcopy(dict(model.state_dict()))
    modes = [module.training for module in model.modules()]
    result = fold_conv_bn.apply(model, inputs)
    assert difference(before, dict(model.state_dict())) is None
    assert modes == [module.training for module in model.modules()]
    mine = {parameter.data_ptr() for parameter in model.parameters()}
    assert not mine & {parameter.data_ptr() for parameter in result.module.parameters()}
    with torch.no_grad():
        assert error(model(*inputs), result.module(*inputs)) <= tolerance
    return result


def count(module: nn.Module) -> int:
    return sum(isinstance(child, NORMS) for child in module.modules())


class Graph(nn.Module):
    """A model of the given children and a forward of one line."""

    def __init__(self, function, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


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


def test_one_conv_and_norm_called_twice_are_folded_once():
    model = ready(
        Graph(
            lambda m, x: m.norm(m.conv(m.norm(m.conv(x)))),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    result = folded(model, image())
    assert result.folded == ("norm",)
    assert count(result.module) == 0


def test_a_conv_used_twice_with_two_norms_is_left_alone_with_its_reason():
    model = ready(
        Graph(
            lambda m, x: m.a(m.conv(x)) + m.b(m.conv(x + 1)),
            conv=nn.Conv2d(3, 3, 3),
            a=nn.BatchNorm2d(3),
            b=nn.BatchNorm2d(3),
        )
    )
    result = folded(model, image())
    assert result.left == dict.fromkeys("ab", "'conv' is also called without it")


def test_a_conv_only_one_of_whose_calls_has_a_norm_is_left():
    model = ready(
        Graph(
            lambda m, x: m.norm(m.conv(x)) + m.conv(x + 1),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).left == {"norm": "'conv' is also called without it"}


def test_a_conv_under_two_names_is_left():
    conv = nn.Conv2d(3, 3, 3)
    model = ready(
        Graph(
            lambda m, x: m.norm(m.conv(x)) + m.same(x), conv=conv, same=conv, norm=nn.BatchNorm2d(3)
        )
    )
    assert folded(model, image()).left == {"norm": "'conv' is also called without it"}


def test_a_norm_used_by_two_convs_is_folded_into_both():
    model = ready(
        Graph(
            lambda m, x: m.norm(m.b(m.norm(m.a(x)))),
            a=nn.Conv2d(3, 3, 3),
            b=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).folded == ("norm",)


def test_a_norm_one_of_whose_calls_cannot_be_folded_is_reported_for_that_call():
    model = ready(
        Graph(
            lambda m, x: m.norm(m.norm(m.conv(x)).relu()),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    result = folded(model, image())
    assert result.folded == ()
    assert "(folded in 1 other call" in result.left["norm"]
    assert count(result.module) == 1


def test_two_convs_of_one_weight_are_left():
    a, b = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
    b.weight = a.weight
    model = ready(Graph(lambda m, x: m.norm(m.a(x)) + m.b(x), a=a, b=b, norm=nn.BatchNorm2d(3)))
    assert folded(model, image()).left == {"norm": "the weight of 'a' is also read by 'b' (Conv2d)"}


def test_a_buffer_read_by_two_convs_counts_as_one_weight():
    model = ready(
        Graph(
            lambda m, x: m.norm(F.conv2d(x, m.kernel)) + F.conv2d(x, m.view),
            norm=nn.BatchNorm2d(3),
        )
    )
    model.register_buffer("kernel", torch.randn(3, 3, 3, 3, dtype=torch.float64))
    model.register_buffer("view", model.kernel.transpose(2, 3))
    assert "also read by conv2d" in folded(model, image()).left["norm"]


def test_two_convs_of_one_bias_are_folded_apart():
    a, b = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
    b.bias = a.bias
    model = ready(Graph(lambda m, x: m.norm(m.a(x)) + m.b(x), a=a, b=b, norm=nn.BatchNorm2d(3)))
    assert folded(model, image()).folded == ("norm",)


def test_a_weight_read_by_a_function_is_left():
    model = ready(
        Graph(
            lambda m, x: m.norm(m.conv(x)) + F.conv2d(x, m.conv.weight),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).left == {"norm": "the weight of 'conv' is also read by conv2d"}


def test_a_weight_that_is_an_output_is_left():
    model = ready(
        Graph(
            lambda m, x: (m.norm(m.conv(x)), m.conv.weight),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).left == {
        "norm": "the weight of 'conv' is also read by the model's output"
    }


def test_a_weight_whose_shape_alone_is_read_is_folded():
    model = ready(
        Graph(
            lambda m, x: m.norm(m.conv(x)) * m.conv.weight.shape[0],
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).folded == ("norm",)


def test_statistics_that_forward_overwrites_are_left():
    def forward(m, x):
        m.norm.running_mean.add_(1)
        return m.norm(m.conv(x))

    model = ready(Graph(forward, conv=nn.Conv2d(3, 3, 3), norm=nn.BatchNorm2d(3)))
    left = fold_conv_bn.apply(model, (image(),)).left
    assert left == {"norm": "its weights or statistics are also read by add_"}


def test_a_conv_whose_output_has_other_users_is_left():
    model = ready(
        Graph(
            lambda m, x: m.norm(y := m.conv(x)) + y,
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
        )
    )
    assert folded(model, image()).left == {"norm": "the output of 'conv' is used elsewhere too"}


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


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    "register",
    ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"],
)
def test_what_has_hooks_is_left_and_keeps_them(which: int, register: str):
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    hooks = {
        "register_forward_hook": lambda m, i, o: o + 1,
        "register_forward_pre_hook": lambda m, i: (i[0] * 2,),
        "register_full_backward_hook": lambda m, i, o: None,
    }
    getattr(model[which], register)(hooks[register])
    assert "has hooks" in folded(model, image()).left["1"]


def test_a_container_with_hooks_is_kept_whole_and_the_rest_is_folded():
    def block() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))

    model = ready(nn.Sequential(block(), block()))
    model[1].register_forward_hook(lambda m, i, o: o + 1)
    result = folded(model, image())
    assert result.folded == ("0.1",)
    assert result.left == {"1.1": "it is inside '1', which has hooks and is kept whole"}


def test_a_module_with_a_forward_of_its_own_is_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)))
    conv = model[0]
    model[0].forward = lambda x: x * 2
    assert folded(model, image()).left.keys() == {"1"}
    assert conv is model[0]


@pytest.mark.parametrize(
    "derive",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
        nn.utils.spectral_norm,
        lambda conv: prune.l1_unstructured(conv, "weight", 0.5),
        pytest.param(
            nn.utils.weight_norm,
            marks=pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning"),
        ),
    ],
    ids=["weight_norm", "spectral_norm", "orthogonal", "old_spectral", "pruned", "old_weight_norm"],
)
def test_a_weight_that_is_computed_is_computed_once_and_folded(derive):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).double()
    derive(model[0])
    ready(model)
    result = folded(model, image())
    assert result.folded == ("1",)
    assert type(result.module.get_submodule("0")) is nn.Conv2d


def test_a_weight_that_changes_with_each_call_is_left():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    parametrizations.spectral_norm(model[0])
    ready(model)
    model[0].train()
    left = fold_conv_bn.apply(model, (image(),)).left
    assert left == {"1": "'0' computes its weight anew in training mode"}


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


STEP = st.sampled_from(["conv", "norm", "relu", "add", "again", "drop", "grouped", "pre"])


class Random(nn.Module):
    """Steps drawn one after another; "again" calls an earlier conv, "add" uses earlier values."""

    def __init__(self, steps: list[str], picks: list[int]) -> None:
        super().__init__()
        self.steps, self.picks = steps, picks
        makers = {
            "conv": lambda: nn.Conv2d(4, 4, 3, padding=1),
            "grouped": lambda: nn.ConvTranspose2d(4, 4, 3, padding=1, groups=2, bias=False),
            "pre": lambda: nn.Conv2d(4, 4, 1),
            "norm": lambda: nn.BatchNorm2d(4),
            "drop": nn.Dropout,
            "relu": nn.ReLU,
        }
        self.parts = nn.ModuleList(makers[s]() for s in steps if s in makers)

    def forward(self, x: Tensor) -> Tensor:
        values, used = [x], []
        parts = iter(self.parts)
        for step, pick in zip(self.steps, self.picks, strict=True):
            value = values[-1 - pick % min(2, len(values))]
            if step == "add":
                value = value + values[pick % len(values)]
            elif step == "again":
                value = used[pick % len(used)](value) if used else value
            else:
                used.append(next(parts))
                value = used[-1](value)
            values.append(value)
        return values[-1] + values[-2]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_graphs_compute_what_they_did(data: st.DataObject):
    steps = data.draw(st.lists(STEP, min_size=2, max_size=9))
    picks = data.draw(st.lists(st.integers(0, 9), min_size=len(steps), max_size=len(steps)))
    model = ready(Random(steps, picks))
    result = folded(model, image(4))
    norms = {name for name, child in model.named_modules() if isinstance(child, nn.BatchNorm2d)}
    assert {*result.folded, *result.left} == norms
    assert not {*result.folded} & {*result.left}
