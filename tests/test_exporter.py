import os
import threading
from pathlib import Path

import pytest

from mobileopt import exporter
from mobileopt.errors import InputError, MeasurementError
from mobileopt.exporter import Order
from mobileopt.variant import BASELINE, Recipe

MOBILE = Recipe.parse("fx-float-nchw-mobile")
NHWC = Recipe.parse("fx-float-nhwc-mobile")


@pytest.fixture(autouse=True)
def own_nets_are_importable(monkeypatch):
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


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


def test_what_belongs_to_a_users_own_model_is_passed_on(tmp_path):
    order = Order(
        "own_nets:Net", [MOBILE], tmp_path, inputs=["1,3,16,16"], calibration="own_nets:batches",
        evaluation="own_nets:shuffled", name="small",
    )  # fmt: skip
    (made,) = exporter.export(order).made
    assert str(made.variant) == "small/fx-float-nchw-mobile"
    assert made.weights == "factory:own_nets:Net:seed:0:calibrated-batchnorm"
    assert made.fidelity.source.startswith("callable:own_nets:shuffled:256:")
    assert made.fidelity.inputs == 256


def test_a_model_that_prints_does_not_disturb_the_answers(tmp_path):
    order = Order("own_nets:Talker", [BASELINE], tmp_path, inputs=["1,3,16,16"])
    assert len(exporter.export(order).made) == 1


def test_an_export_that_takes_too_long_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(Order, "command", lambda self: ["sleep", "60"])
    with pytest.raises(MeasurementError, match=r"ended early: it took longer than 0\.2 s"):
        exporter.export(Order("mlp", [MOBILE], tmp_path), timeout=0.2)


@pytest.mark.timeout(50)
def test_an_export_ends_when_it_is_to_stop(tmp_path, monkeypatch):
    monkeypatch.setattr(Order, "command", lambda self: ["sleep", "60"])
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(MeasurementError, match="ended early: it was stopped"):
        exporter.export(Order("mlp", [MOBILE], tmp_path), stop=stop)


@pytest.mark.timeout(50)
@pytest.mark.parametrize(
    "line",
    [
        "Downloading weights",
        "3",
        "[]",
        "null",
        "{}",
        '{"folder": 1}',
        '{"refused": "x"}',
        "[" * 9999,
    ],
)
def test_an_answer_that_is_none_is_an_error_and_nobody_is_waited_for(tmp_path, monkeypatch, line):
    script = 'printf "%s\\n" "$1"; exec sleep 60'
    monkeypatch.setattr(Order, "command", lambda self: ["sh", "-c", script, "sh", line])
    with pytest.raises(MeasurementError, match=r"the export answered .*, which is no answer"):
        exporter.export(Order("mlp", [MOBILE], tmp_path))
