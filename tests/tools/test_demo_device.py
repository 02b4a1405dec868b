from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from mobileopt.store import Store
from tools import demo_device
from tools.demo_device import Demo


@pytest.mark.slow
def test_the_whole_way_goes_from_export_to_site_and_leaves_no_phone(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = subprocess.run(
        ["git", "status", "--porcelain"], capture_output=True, text=True, check=True
    ).stdout
    demo = Demo(
        tmp_path / "demo",
        models=("annotated_conv_bn_relu",),
        recipes=("unfused-float-nchw-mobile", "fused-float-nchw-mobile"),
        rounds=1,
        pure=True,
    )
    summary, html = demo_device.run(demo, Console(quiet=True))
    assert [each.status for each in summary.outcomes] == ["stored"] * 4
    assert Store(demo.out / "results").verify() == []
    page = json.loads((html / "mobileopt" / "variants.json").read_text())
    assert len(page["environments"]) == 2
    assert all(len(each["models"][0]["rows"]) == 2 for each in page["environments"])
    running = subprocess.run(["pgrep", "-f", "mobileopt-phones-"], check=False, capture_output=True)
    assert running.stdout == b""
    after = subprocess.run(
        ["git", "status", "--porcelain"], capture_output=True, text=True, check=True
    ).stdout
    assert after == before
