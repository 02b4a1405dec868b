import pytest
import torch
from own_nets import Net

from mobileopt.backends import eager, torchscript
from mobileopt.errors import InputError
from mobileopt.optimizations import fold_conv_bn
from mobileopt.own import program
from mobileopt.reference import InputSpec

EXAMPLE = (torch.ones(1, 3, 16, 16),)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    net = Net().eval()
    path = tmp_path_factory.mktemp("programs") / "net.pt2"
    torch.export.save(torch.export.export(net, EXAMPLE), path)
    return net, path


def test_a_program_answers_as_what_it_was_exported_from_and_knows_its_inputs(saved):
    net, path = saved
    module, specs = program.load(path)
    assert specs == (InputSpec((1, 3, 16, 16), "float32"),)
    torch.testing.assert_close(module(*EXAMPLE), net(*EXAMPLE))


def test_a_program_can_be_pickled_scripted_and_folded(saved, tmp_path):
    net, path = saved
    module, _ = program.load(path)
    folded = fold_conv_bn.apply(module, EXAMPLE)
    assert folded.changed
    for each in (module, folded.module):
        for backend in (eager, torchscript):
            file = tmp_path / f"model{backend.SUFFIX}"
            file.write_bytes(backend.export(each, EXAMPLE).data)
            torch.testing.assert_close(backend.load(file)(*EXAMPLE), net(*EXAMPLE))


def test_a_size_that_may_change_is_the_one_of_the_export(tmp_path):
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(
        Net().eval(), (torch.ones(4, 3, 16, 16),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(exported, tmp_path / "net.pt2")
    module, specs = program.load(tmp_path / "net.pt2")
    assert specs[0].shape == (4, 3, 16, 16)
    assert module(torch.ones(2, 3, 16, 16)).shape == (2, 5)


def test_a_file_that_is_no_program_is_one_sentence(tmp_path):
    path = tmp_path / "net.pt2"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match=r"is not a program that torch\.export saved") as caught:
        program.load(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        program.load(tmp_path / "net.pt2")
