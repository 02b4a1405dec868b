from __future__ import annotations

import copy
from functools import partial

import folding
import pytest
import torch
import torch.nn.functional as F
import torchvision
from folding import Graph
from torch import Tensor, nn
from torch.ao.nn import intrinsic

from mobileopt.errors import InputError
from mobileopt.optimizations import fuse_modules
from mobileopt.optimizations._checking import difference, error
from mobileopt.optimizations.result import Result

ready = partial(folding.ready, dtype=torch.float32)
image = partial(folding.image, dtype=torch.float32)


def fused(model: nn.Module, *inputs: object, groups=None) -> Result:
    """Fuse, check the outputs and that the input is as it was, and hand the result on."""
    before = copy.deepcopy(dict(model.state_dict()))
    types = [type(module) for module in model.modules()]
    result = fuse_modules.apply(model, inputs, groups)
    assert difference(before, dict(model.state_dict())) is None
    assert types == [type(module) for module in model.modules()]
    mine = {parameter.data_ptr() for parameter in model.parameters()}
    assert not mine & {parameter.data_ptr() for parameter in result.module.parameters()}
    with torch.no_grad():
        assert error(model(*inputs), result.module(*inputs)) <= 1e-6
    return result


def parts(**others: nn.Module) -> dict[str, nn.Module]:
    mine: dict[str, nn.Module] = {"conv": nn.Conv2d(3, 3, 3), "bn": nn.BatchNorm2d(3)}
    return mine | {"relu": nn.ReLU()} | others


@pytest.mark.parametrize(
    ("layers", "kind"),
    [
        ([nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)], nn.Conv2d),
        ([nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()], intrinsic.ConvReLU2d),
        ([nn.Conv2d(3, 4, 3), nn.ReLU()], intrinsic.ConvReLU2d),
        ([nn.Linear(9, 4), nn.ReLU(inplace=True)], intrinsic.LinearReLU),
        ([nn.BatchNorm2d(3), nn.ReLU()], intrinsic.BNReLU2d),
    ],
    ids=fuse_modules.SEQUENCES,
)
def test_every_sequence_of_the_recipe_is_found_and_fused(layers, kind):
    result = fused(ready(nn.Sequential(*layers)), image())
    assert result.changed == ("+".join(str(n) for n in range(len(layers))),)
    assert type(result.module[0]) is kind
    assert all(type(module) is nn.Identity for module in result.module[1:])
    assert not any(module.training for module in result.module.modules())
    torch.jit.script(result.module)
    torch.export.export(result.module, (image(),))


@pytest.mark.parametrize("axes", [1, 3])
def test_convolutions_of_other_dimensions_are_fused(axes: int):
    conv = {1: nn.Conv1d, 3: nn.Conv3d}[axes]
    norm = {1: nn.BatchNorm1d, 3: nn.BatchNorm3d}[axes]
    model = ready(nn.Sequential(conv(4, 4, 3, groups=2, bias=False), norm(4), nn.ReLU()))
    assert fused(model, torch.randn(2, 4, *[7] * axes)).changed == ("0+1+2",)


def test_an_activation_that_is_not_a_relu_stops_the_sequence():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU6()))
    assert fused(model, image()).changed == ("0+1",)


def test_a_relu_used_twice_is_left_out_of_the_group():
    model = ready(torchvision.models.resnet.BasicBlock(3, 3))
    result = fused(model, image())
    assert result.changed == ("conv1+bn1", "conv2+bn2")
    assert result.left == {"conv1+bn1+relu": "'relu' is called 2 times"}


def test_a_conv_used_twice_is_left_alone_with_its_reason():
    model = ready(Graph(lambda m, x: m.bn(m.conv(m.conv(x))), **parts()))
    assert fused(model, image()).left == {"conv+bn": "'conv' is called 2 times"}


def test_a_conv_whose_output_has_other_users_is_left():
    model = ready(Graph(lambda m, x: m.bn(y := m.conv(x)) + y, **parts()))
    assert fused(model, image()).left == {"conv+bn": "the output of 'conv' is used elsewhere too"}


def test_a_group_left_does_not_stop_a_shorter_one():
    model = ready(Graph(lambda m, x: m.relu(y := m.bn(m.conv(x))) + y, **parts()))
    result = fused(model, image())
    assert result.changed == ("conv+bn",)
    assert result.left == {"conv+bn+relu": "the output of 'bn' is used elsewhere too"}


def test_a_weight_read_elsewhere_is_left():
    model = ready(Graph(lambda m, x: m.bn(m.conv(x)) + F.conv2d(x, m.conv.weight), **parts()))
    assert fused(model, image()).left == {
        "conv+bn": "'conv' has weights that are also read in 'forward'"
    }


def test_tied_weights_are_left():
    model = Graph(lambda m, x: m.bn(m.conv(x)) + m.b(x), **parts(b=nn.Conv2d(3, 3, 3)))
    model.b.weight = model.conv.weight
    assert fused(ready(model), image()).left == {
        "conv+bn": "'conv' has weights that are also read in 'b'"
    }


def test_statistics_read_elsewhere_are_left():
    model = ready(Graph(lambda m, x: m.bn(m.conv(x)) * m.bn.running_mean.sum(), **parts()))
    assert "'bn' has weights that are also read" in fused(model, image()).left["conv+bn"]


@pytest.mark.parametrize("which", ["conv", "bn"])
@pytest.mark.parametrize("register", ["register_forward_pre_hook", "register_forward_hook"])
def test_what_has_hooks_is_left_and_keeps_them(which: str, register: str):
    model = ready(Graph(lambda m, x: m.bn(m.conv(x)), **parts()))
    getattr(getattr(model, which), register)(lambda m, i, o=None: o if o is None else o + 1)
    assert fused(model, image()).left == {
        "conv+bn": f"{which!r} has hooks, which see its input or output"
    }


def test_a_norm_of_another_axis_is_left():
    model = ready(nn.Sequential(nn.Conv1d(2, 6, 1), nn.BatchNorm1d(6)))
    assert "works on another axis" in fused(model, torch.randn(2, 6)).left["0+1"]


def test_a_linear_layer_before_a_norm_is_no_sequence_of_the_recipe():
    model = ready(nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6)))
    assert fused(model, torch.randn(2, 6, 5)).changed == ()


def test_a_norm_in_training_mode_is_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    model[1].train()
    assert fuse_modules.apply(model, (image(),)).left == {"0+1": "'1' is in training mode"}


def test_a_norm_without_running_statistics_is_left():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), norm))
    assert fused(model, image()).left == {"0+1": "'1' keeps no running statistics"}


def test_a_parametrized_conv_is_left():
    model = ready(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    nn.utils.parametrizations.weight_norm(model[0])
    assert fused(model, image()).changed == ()
    assert fused(model, image(), groups=[["0", "1"]]).left == {"0+1": "'0' is parametrized"}


class Branching(nn.Module):
    """Its forward cannot be traced; that of its block can."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
        self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.block(x))
        return self.bn(y) if x.sum() < 1e9 else y


def test_control_flow_is_left_and_the_blocks_without_it_are_fused():
    result = fused(ready(Branching()), image())
    assert result.changed == ("block.0+block.1+block.2",)
    assert result.left[""].startswith("FX cannot trace the model")


def test_a_block_whose_conv_is_called_from_outside_is_left():
    class Outside(Branching):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + self.block[0](x).mean()

    assert fused(ready(Outside()), image()).left["block.0+block.1+block.2"] == (
        "'block.0' is also called from outside 'block'"
    )


def test_a_block_called_twice_is_fused():
    block = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = block

        def forward(self, x: Tensor) -> Tensor:
            return self.block(self.block(x)) if x.sum() < 1e9 else x

    assert fused(ready(Twice()), image()).changed == ("block.0+block.1",)


def test_an_optional_argument_that_may_change_the_sequence_is_respected():
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)

        def forward(self, x: Tensor, raw: Tensor | None = None) -> Tensor:
            y = self.conv(x)
            return self.bn(y) if raw is None else y * raw

    model = ready(Masked())
    result = fused(model, image())
    assert result.left == {"": "it takes arguments that the example inputs leave out"}
    with torch.no_grad():
        raw = torch.ones(1)
        assert error(model(image(), raw), result.module(image(), raw)) == 0


def test_a_group_that_is_named_is_the_only_one_fused():
    model = ready(Graph(lambda m, x: m.relu(m.bn(m.conv(x))), **parts()))
    assert fused(model, image(), groups=[["conv", "bn"]]).changed == ("conv+bn",)


def test_a_named_group_that_does_not_run_in_a_row_is_left():
    model = ready(Graph(lambda m, x: m.bn(m.conv(x).sin()), **parts()))
    assert fused(model, image(), groups=[["conv", "bn"]]).left == {
        "conv+bn": "its modules do not run one right after another"
    }


def test_a_module_that_is_not_there_is_an_input_error_with_the_nearest():
    model = ready(Graph(lambda m, x: m.bn(m.conv(x)), **parts()))
    with pytest.raises(InputError, match=r"no module 'conw', did you mean 'conv'\?.*Conv \+ BN,"):
        fuse_modules.apply(model, (image(),), [["conw", "bn"]])


def test_a_sequence_that_is_not_known_is_an_input_error_that_lists_them():
    model = ready(Graph(lambda m, x: m.bn(m.conv(x)), **parts()))
    with pytest.raises(InputError, match=r"is BatchNorm2d \+ Conv2d; the known .*Linear \+ ReLU"):
        fuse_modules.apply(model, (image(),), [["bn", "conv"]])


def test_names_that_are_in_no_group_are_an_input_error():
    model = ready(Graph(lambda m, x: m.bn(m.conv(x)), **parts()))
    with pytest.raises(InputError, match="give a list of groups"):
        fuse_modules.apply(model, (image(),), ["conv", "bn"])


def test_a_module_in_two_groups_is_an_input_error():
    model = ready(Graph(lambda m, x: m.bn(m.conv(x)), **parts()))
    with pytest.raises(InputError, match="'bn' is named 2 times"):
        fuse_modules.apply(model, (image(),), [["conv", "bn"], ["bn", "relu"]])


def test_a_model_that_looks_at_its_modules_types_is_left_as_it_was():
    def forward(m, x):
        y = m.bn(m.conv(x))
        return y if isinstance(m.bn, nn.BatchNorm2d) else y + 1

    result = fused(ready(Graph(forward, **parts())), image())
    assert result.left["conv+bn"].startswith("the fused model differs in output")
