"""The two halves: what measures never imports torch."""

import subprocess
import sys

import pytest

HARNESS = (
    "adb", "artifact", "asv_plugin", "commands.compare", "compare", "device", "exporter",
    "measure", "nightly.night", "report.json", "report.terminal", "run", "runners.host",
    "runners.speed_benchmark_torch", "store", "verdicts", "commands.tune", "tuning.race",
)  # fmt: skip


@pytest.mark.parametrize("module", HARNESS)
def test_the_half_that_measures_does_not_import_torch(module):
    program = f"import sys, mobileopt.{module}; sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
