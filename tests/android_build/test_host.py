from __future__ import annotations

import os
import sys
from pathlib import Path

from mobileopt.android_build.host import describe, dotted


def tool(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_this_machine_is_read(tmp_path):
    host = describe(Path(sys.executable), tmp_path / "not/yet/there", os.environ)
    assert host.python.version == sys.version_info[:3]
    assert host.cpus >= 1
    assert host.disk is not None
    assert host.disk > 0


def test_versions_are_read_from_the_tools_on_path(tmp_path):
    tool(tmp_path / "bin", "cmake", "echo cmake version 4.0.2-g1; echo; echo suite 9.9")
    tool(tmp_path / "bin", "ninja", "echo 1.12.1.git")
    tool(tmp_path / "bin", "make", "")
    host = describe(Path(sys.executable), tmp_path, {"PATH": str(tmp_path / "bin")})
    assert (host.cmake, host.ninja, host.make) == ((4, 0, 2), (1, 12, 1), True)
    assert dotted(host.cmake) == "4.0.2"


def test_absent_and_failing_tools_have_no_version(tmp_path):
    tool(tmp_path / "bin", "cmake", "echo cmake version 3.1; exit 1")
    host = describe(Path(sys.executable), tmp_path, {"PATH": str(tmp_path / "bin")})
    assert (host.cmake, host.ninja, host.make) == ((), (), False)


def test_a_python_says_what_it_lacks(tmp_path):
    # -I and -S leave the interpreter without site-packages, as a bare Python is.
    tool(tmp_path, "python", f'exec "{sys.executable}" -I -S "$@"')
    python = describe(tmp_path / "python", tmp_path, os.environ).python
    assert {"pyyaml", "numpy", "typing_extensions"} <= set(python.missing)


def test_a_python_that_is_none_has_no_version(tmp_path):
    tool(tmp_path, "python", "echo hello")
    assert describe(tmp_path / "python", tmp_path, os.environ).python.version == ()
    assert describe(tmp_path / "nothing", tmp_path, os.environ).python.version == ()
