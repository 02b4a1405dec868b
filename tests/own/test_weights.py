import os

import pytest
import torch
from own_nets import Net

from mobileopt.errors import InputError
from mobileopt.own import weights


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("nest", [lambda state: state, lambda state: {"state_dict": state}])
def test_a_state_dict_is_put_in_also_out_of_a_checkpoint(nest, tmp_path):
    net, other = Net(), Net()
    torch.save(nest(other.state_dict()), tmp_path / "net.pt")
    label = weights.load_into(net, tmp_path / "net.pt")
    assert label == f"file:net.pt:{weights.digest(tmp_path / 'net.pt')}"
    assert torch.equal(net.conv.weight, other.conv.weight)


def test_nothing_in_a_file_of_weights_runs(tmp_path):
    torch.save({"conv": Evil(tmp_path / "made")}, tmp_path / "net.pt")
    with pytest.raises(InputError, match="no file of plain tensors"):
        weights.load_into(Net(), tmp_path / "net.pt")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"conv.weight": torch.ones(1)}, "another model's: it lacks 8 tensors"),
        (Net(16).state_dict(), r"'conv.weight' is of shape \(16, .*the model's of \(8, 3, 3, 3\)"),
        ([1, 2], "holds list, not a state dict of tensors"),
        ({"epoch": 3}, "not a state dict of tensors"),
    ],
)
def test_what_does_not_fit_is_named(content, sentence, tmp_path):
    torch.save(content, tmp_path / "net.pt")
    net = Net()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(InputError, match=sentence):
        weights.load_into(net, tmp_path / "net.pt")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_missing_file_of_weights_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no file of weights"):
        weights.load_into(Net(), tmp_path / "net.pt")


def test_a_name_of_torchvisions_is_no_path():
    assert not weights.is_path("IMAGENET1K_V1")
    assert weights.is_path("net.pt")
    assert weights.is_path("folder/net")
