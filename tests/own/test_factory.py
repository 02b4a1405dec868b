import sys

import pytest
import torch

from mobileopt.errors import InputError
from mobileopt.own import factory


@pytest.mark.parametrize("name", ["make", "Net", "instance"])
def test_a_function_a_class_and_a_module_are_taken_and_put_into_evaluation(name):
    module = factory.make(f"own_nets:{name}")
    assert isinstance(module, torch.nn.Module)
    assert not module.training


def test_a_network_built_twice_has_the_same_weights():
    torch.manual_seed(3)
    one = factory.make("own_nets:make").state_dict()
    torch.manual_seed(4)
    other = factory.make("own_nets:make").state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_making_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    factory.make("own_nets:make")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("own_nets:nosuch", "'own_nets' has no 'nosuch'"),
        ("nosuch.nets:make", "cannot import 'nosuch.nets': ModuleNotFoundError"),
        ("own_nets:broken", "own_nets:broken failed: ValueError: no$"),
        ("own_nets:needy", "needs arguments .*'width'.*; name a function that takes none"),
        ("own_nets:nothing", "gives nothing, and a model is a torch.nn.Module"),
        ("own_nets:one", "gives an object of type int"),
        ("own_nets:torch", "is of type module, which cannot be called"),
    ],
)
def test_what_is_no_factory_is_one_sentence(name, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        factory.make(name)
    assert "\n" not in str(caught.value)


def test_a_module_that_ends_the_process_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "own_exits.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="cannot import 'own_exits': SystemExit: 3"):
        factory.make("own_exits:make")


def test_the_current_folder_is_importable(tmp_path, monkeypatch):
    (tmp_path / "own_here.py").write_text("import torch\nmake = torch.nn.ReLU")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert isinstance(factory.make("own_here:make"), torch.nn.ReLU)
