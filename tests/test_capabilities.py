import json
import sys

import pytest
import torch

from mobileopt import capabilities, recipes
from mobileopt.__main__ import main
from mobileopt.errors import CapabilityError
from mobileopt.optimizations import quantize_pt2e


def test_a_probe_answers_for_every_capability_in_one_sentence_or_none():
    found = capabilities.probe()
    assert {"xnnpack", "torch.ao", "lite interpreter", "executorch"} < {each.name for each in found}
    assert all(each.missing is None or "\n" not in each.missing for each in found)


def test_every_engine_a_recipe_can_name_is_probed():
    named = {word.options["engine"] for word in recipes.WORDS if "engine" in word.options}
    assert named == set(capabilities.ENGINES)


def test_torch_without_xnnpack_is_told_with_the_last_that_has_it(monkeypatch):
    assert capabilities.xnnpack() is None
    monkeypatch.setattr(torch._C, "_is_xnnpack_enabled", lambda: False)
    assert "2.12.1 is the last torch" in capabilities.xnnpack()


def test_an_engine_that_is_not_there_is_told_with_those_that_are():
    assert "no quantized engine 'nnapi'; it has " in capabilities.quantized_engine("nnapi")


@pytest.mark.parametrize(
    ("module", "probe"),
    [
        ("torch.ao.quantization", capabilities.torch_ao),
        ("torch.jit.mobile", capabilities.lite_interpreter),
        ("executorch.extension.pybindings._portable_lib", capabilities.executorch),
        ("torchao.quantization.pt2e", capabilities.torchao),
    ],
)
def test_a_module_that_is_not_there_is_named(module, probe, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert module.split(".")[0] in probe()


def test_an_executorch_of_another_torch_is_told_from_one_that_is_not_installed(monkeypatch):
    def undefined_symbol():
        raise ImportError("_portable_lib.so: undefined symbol: _ZN2at4_ops")

    monkeypatch.setattr(capabilities, "executorch_runtime", undefined_symbol)
    told = capabilities.executorch()
    assert "does not load beside torch" in told
    assert "undefined symbol" in told


def test_quantizing_for_executorch_without_it_is_refused_with_the_reason(monkeypatch):
    for name in ("torchao", "executorch"):
        monkeypatch.setattr(capabilities, name, lambda told=name: f"{told} is not installed")
        with pytest.raises(CapabilityError, match=f"^{name} is not installed"):
            quantize_pt2e.apply(torch.nn.Identity(), (), calibration=[])


def test_the_command_says_what_is_missing_for_people_and_for_machines(monkeypatch, capsys):
    monkeypatch.setattr(torch._C, "_is_xnnpack_enabled", lambda: False)
    assert main(["capabilities"]) == 0
    assert "without XNNPACK" in capsys.readouterr().out.replace("\n", " ")
    assert main(["capabilities", "--json"]) == 0
    rows = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert "without XNNPACK" in rows["xnnpack"]["missing"]
    assert rows["torch.ao"]["missing"] is None
