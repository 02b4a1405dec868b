import io
import json
import re
import subprocess

import pytest
from rich.console import Console

from benchmarks import _suite
from mobileopt.errors import InputError, MeasurementError
from tools import bench


@pytest.mark.parametrize(
    ("cpu", "arch", "cores", "name"),
    [
        ("Intel(R) Xeon(R) Processor", "x86_64", "2", "intel-xeon-processor-x86_64-2cpu"),
        ("Intel(R) Core(TM) i7 CPU @ 1.80GHz", "x86_64", "8", "intel-core-i7-cpu-x86_64-8cpu"),
        ("", "arm64", "", "cpu-arm64-1cpu"),
        ("../../etc; $(x)", "../", "2", "etc-x-unknown-2cpu"),
    ],
)
def test_a_machine_is_named_by_what_it_is_and_safe_as_a_folder(cpu, arch, cores, name):
    assert bench.machine_name(cpu, arch, cores) == name


def test_the_quick_selection_takes_core_models_and_leaves_out_memory():
    pattern = re.compile(bench.quick_pattern())
    recipe = _suite.QUICK_RECIPES[-1]
    assert pattern.search(f"latency.time_forward('mobilenet_v2', '{recipe}')")
    assert pattern.search(f"fidelity.track_noise('resnet18', '{recipe}')")
    assert not pattern.search(f"memory.peakmem_forward('mobilenet_v2', '{recipe}')")
    assert not pattern.search(f"latency.time_forward('efficientnet_b0', '{recipe}')")
    assert not pattern.search(f"latency.time_forward('resnet18', '{_suite.RECIPES[-1]}')")


def test_outside_of_a_git_checkout_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="this is no git checkout"):
        bench._warn_about_changes(Console(file=io.StringIO()))


def test_an_asv_that_fails_is_told_with_its_last_line(monkeypatch):
    popen = subprocess.Popen

    def failing(command, **options):
        return popen(["sh", "-c", "echo Unknown commit; exit 1"], **options)

    monkeypatch.setattr(subprocess, "Popen", failing)
    with pytest.raises(MeasurementError, match="exit code 1: Unknown commit"):
        bench.run("nonsense", "here", pattern="x", console=Console(file=io.StringIO()))


def test_the_table_lists_recipes_by_speed_with_size_and_fidelity(tmp_path):
    fast = {"latency": {"value": 0.01}, "size": {"value": 14e6}, "noise": {"value": 1e-5}}
    rows = [
        {"recipe": "fast", "cells": fast, "ratio": {"value": 3.0}},
        {"recipe": "[red]base", "cells": {"latency": {"value": 0.03}}, "ratio": {"value": 1.0}},
    ]
    data = {"environments": [{"params": {"machine": "here"}, "models": [
        {"model": "resnet18", "rows": rows}]}]}  # fmt: skip
    (tmp_path / "mobileopt").mkdir()
    (tmp_path / "mobileopt" / "variants.json").write_text(json.dumps(data))
    out = io.StringIO()
    bench.show(tmp_path, "here", Console(file=out, width=120))
    text = out.getvalue()
    assert text.index("[red]base") < text.index("fast")
    assert all(part in text for part in ("10.0 ms", "3.00x", "14.0 MB", "100.0 dB", "n/a"))
    assert str(tmp_path / "index.html") in text.replace("\n", "")


def test_an_asv_that_is_too_slow_is_ended_with_all_it_started(monkeypatch):
    popen, started = subprocess.Popen, []

    def slow(command, **options):
        started.append(popen(["sh", "-c", "sleep 60; echo late"], **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", slow)
    with pytest.raises(MeasurementError, match="was not done with HEAD"):
        bench.run("HEAD", "here", pattern=None, console=Console(file=io.StringIO()), seconds=0.2)
    assert started[0].poll() is not None
