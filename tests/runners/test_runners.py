from __future__ import annotations

import subprocess
import sys

import pytest

from mobileopt import runners
from mobileopt.errors import UnknownNameError
from tests.runners.outputs import DATA


def test_a_runner_is_found_by_the_name_of_its_file():
    assert {"executor_runner", "speed_benchmark_torch"} <= set(runners.names())


def test_every_runner_has_a_captured_output():
    for name in runners.names():
        assert list((DATA / name).glob("*.txt")), name


def test_an_unknown_runner_is_named_with_those_there_are():
    with pytest.raises(UnknownNameError, match="did you mean 'executor_runner'"):
        runners.load("executor_runer")


@pytest.mark.parametrize("name", ["../adb", "__init__", "os", ""])
def test_a_name_is_never_a_path(name):
    with pytest.raises(UnknownNameError):
        runners.load(name)


@pytest.mark.parametrize("module", ["adb", "adb.fleet", "runners", "validity", "device"])
def test_the_device_layer_does_not_import_torch(module):
    program = f"import sys, mobileopt.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
