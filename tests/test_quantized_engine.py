from contextlib import suppress

import pytest
import torch

from mobileopt import quantized_engine
from mobileopt.errors import CapabilityError


def test_the_old_engine_comes_back_also_after_an_error():
    before = torch.backends.quantized.engine
    with suppress(ZeroDivisionError), quantized_engine.engine("qnnpack"):
        assert torch.backends.quantized.engine == "qnnpack"
        raise ZeroDivisionError
    assert torch.backends.quantized.engine == before


def test_no_engine_changes_nothing():
    before = torch.backends.quantized.engine
    with quantized_engine.engine(None):
        assert torch.backends.quantized.engine == before


def test_a_torch_without_engines_says_so(monkeypatch):
    class Without:
        supported_engines = ("none",)

    monkeypatch.setattr(torch.backends, "quantized", Without)
    with pytest.raises(CapabilityError, match="no quantized engine 'qnnpack'; it has none"):
        quantized_engine.engine("qnnpack").__enter__()
