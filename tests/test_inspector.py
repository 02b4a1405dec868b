import sys

import pytest

from mobileopt import inspector, network, recipes
from mobileopt.build import Workshop, export
from mobileopt.errors import MeasurementError


def test_artifacts_are_inspected_in_order_and_one_that_is_none_is_refused(tmp_path):
    made = export(Workshop(network.load("mlp")), recipes.parse("fx-float-nchw-mobile"), tmp_path)
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    (nothing / "manifest.json").write_text("{}")
    first, second = inspector.inspect([made.folder, nothing])
    assert first["variant"] == "mlp/fx-float-nchw-mobile"
    assert first["size_bytes"] == made.size
    assert "not a manifest" in second["refused"]


def test_a_process_that_dies_is_a_measurement_error_with_its_last_words(monkeypatch, tmp_path):
    program = [sys.executable, "-c", "import sys; sys.exit('out of luck')"]
    monkeypatch.setattr(inspector, "command", lambda folders: program)
    with pytest.raises(MeasurementError, match="ended: out of luck"):
        inspector.inspect([tmp_path])
