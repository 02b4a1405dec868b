import pytest

from mobileopt import exporter
from mobileopt.errors import InputError, MeasurementError
from mobileopt.exporter import Order
from mobileopt.variant import Recipe

MOBILE = Recipe.parse("fx-float-nchw-mobile")
NHWC = Recipe.parse("fx-float-nhwc-mobile")


def test_what_can_be_is_made_and_what_cannot_carries_its_reason(tmp_path):
    told = []
    exported = exporter.export(Order("mlp", [MOBILE, NHWC], tmp_path), lambda: told.append(1))
    assert [each.variant.recipe for each in exported.made] == [MOBILE]
    assert "NHWC needs a 4-D input" in exported.refused[str(NHWC)]
    assert len(told) == 2


def test_an_order_the_other_side_refuses_as_a_whole_is_its_sentence(tmp_path):
    with pytest.raises(InputError, match="unknown model 'mlq', did you mean 'mlp'"):
        exporter.export(Order("mlq", [MOBILE], tmp_path))


def test_an_export_that_dies_is_a_measurement_error(tmp_path, monkeypatch):
    monkeypatch.setattr(Order, "command", lambda self: ["sh", "-c", "echo boom >&2; exit 9"])
    with pytest.raises(MeasurementError, match="the export ended early: boom"):
        exporter.export(Order("mlp", [MOBILE], tmp_path))


def test_hostile_weights_and_paths_stay_single_arguments(tmp_path):
    order = Order("mlp", [MOBILE], tmp_path / "a b; $(c)", weights="--out=/etc")
    command = order.command()
    assert str(tmp_path / "a b; $(c)") in command
    assert "--weights=--out=/etc" in command
