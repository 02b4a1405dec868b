import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mobileopt import fidelity
from mobileopt.backends import executorch
from mobileopt.errors import CombinationError
from mobileopt.optimizations import fold_conv_bn, fuse_modules, quantize_pt2e

needs_executorch = pytest.mark.skipif(
    executorch.missing() is not None, reason=str(executorch.missing())
)


class Net(nn.Module):
    """Conv-BN-ReLU6, a residual add, a linear head: what phones' networks are made of."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.act = (
            nn.Conv2d(3, 3, 3, padding=1),
            nn.BatchNorm2d(3),
            nn.ReLU6(),
        )
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        return self.head((x + self.act(self.norm(self.conv(x)))).mean((2, 3)))


def net():
    torch.manual_seed(0)
    return Net().eval()


def batches(count=4, size=4):
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(size, 3, 16, 16, generator=generator),) for _ in range(count)]


def one():
    return (batches(1, 1)[0][0],)


def unfused(module, inputs):
    return module


@needs_executorch
@pytest.mark.parametrize(
    "fusion",
    [
        unfused,
        lambda module, inputs: fuse_modules.apply(module, inputs).module,
        lambda module, inputs: fold_conv_bn.apply(module, inputs).module,
    ],
    ids=["unfused", "fused", "fx"],
)
def test_after_any_fusion_the_program_is_int8_and_stays_close(fusion, tmp_path):
    module = net()
    with torch.no_grad():
        ready = fusion(module, one())
    result = quantize_pt2e.apply(ready, one(), calibration=batches())
    assert {"conv", "head"} <= {name.split(".")[0] for name in result.changed}
    assert not result.left
    path = tmp_path / "model.pte"
    path.write_bytes(executorch.export(result.module, one()).data)
    questions = [(row[None],) for row in batches(5)[4][0]]
    reference = fidelity.outputs(module, questions)
    noise = fidelity.compare(reference, fidelity.outputs(executorch.load(path), questions)).noise
    assert 1e-4 < noise < 0.1  # int8 it is, and not far


@needs_executorch
def test_a_layer_without_an_int8_kernel_stays_float_and_is_named():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lstm = nn.Conv2d(3, 4, 3), nn.LSTM(4, 4, batch_first=True)

        def forward(self, x):
            return self.lstm(self.conv(x).flatten(2).transpose(1, 2))[0]

    result = quantize_pt2e.apply(Recurrent().eval(), one(), calibration=batches(1))
    assert result.changed == ("conv",)
    assert "stays float" in result.left["lstm"]


@needs_executorch
def test_the_module_that_is_quantized_stays_as_it_was():
    module = net()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    quantize_pt2e.apply(module, one(), calibration=batches(1))
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


@needs_executorch
def test_a_model_that_cannot_be_exported_is_refused_in_one_sentence():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(CombinationError, match="PT2E cannot quantize the model") as caught:
        quantize_pt2e.apply(Branches(), one(), calibration=batches(1))
    assert "\n" not in str(caught.value)


def test_batches_of_the_right_size_stay_as_they_are_also_with_an_input_that_has_no_rows():
    kept = [(torch.ones(2, 3), torch.ones(7)), (torch.zeros(2, 3), torch.zeros(7))]
    found = list(quantize_pt2e.regrouped(kept, 2))
    assert all(
        a is b
        for found_, kept_ in zip(found, kept, strict=True)
        for a, b in zip(found_, kept_, strict=True)
    )


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), size=st.integers(1, 12))
def test_regrouped_batches_hold_every_row_in_order_and_have_one_size(sizes, size):
    rows = iter(range(sum(sizes)))
    given_ = [(torch.tensor([next(rows) for _ in range(each)]),) for each in sizes]
    found = list(quantize_pt2e.regrouped(given_, size))
    assert all(len(column) == size for (column,) in found)
    flat = torch.cat([column for (column,) in found]).tolist()
    assert flat[: sum(sizes)] == list(range(sum(sizes)))
    assert len(flat) - sum(sizes) < size
