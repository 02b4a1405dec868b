from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from folding import Graph, count, folded, image, ready
from torch import nn
from torch.nn.utils import parametrizations, prune

from mobileopt.optimizations import fold_conv_bn

# torch.jit.script warns of an annotation in torch's own GraphModule.


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


def test_a_norm_that_cannot_go_back_goes_forward():
    model = ready(
        Graph(
            lambda m, x: m.after(m.norm(m.conv(x))) + m.conv(x).mean(),
            conv=nn.Conv2d(3, 3, 3),
            norm=nn.BatchNorm2d(3),
            after=nn.Conv2d(3, 3, 3),
        )
    )
    assert folded(model, image()).folded == ("norm",)


def test_hooks_on_all_modules_leave_the_model_as_it_was():
    model = ready(nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)))
    handle = nn.modules.module.register_module_forward_hook(lambda m, i, o: None)
    try:
        left = fold_conv_bn.apply(model, (image(),)).left
    finally:
        handle.remove()
    assert left["1"].startswith("hooks are registered on all modules, which a trace would drop")


def test_a_hook_on_the_model_itself_is_kept():
    model = ready(nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3)))
    model.register_forward_hook(lambda m, i, o: o + 1)
    result = folded(model, image())
    assert result.left["1"].startswith("the model itself has hooks, which a trace would drop")
    assert result.module._forward_hooks
