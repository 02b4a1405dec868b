"""What the tests of `python -m tools.build` share: its arguments, and looking at what it made."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .upstream import NATIVE

needs_tools = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("cmake", "ninja", "cc", "git")),
    reason="builds a real program: needs cmake, ninja, a C compiler and git",
)
ROOT = Path(__file__).parents[2]


def order(checkout: Path, ndk: Path, cache: Path, *more: str) -> list[str]:
    where = ["--checkout", str(checkout), "--ndk", str(ndk), "--cache", str(cache)]
    return [*where, "--abi", NATIVE, *more]


def document(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


def binaries(cache: Path) -> list[str]:
    return sorted(str(path.relative_to(cache / "binaries")) for path in _files(cache / "binaries"))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def says(binary: str | Path) -> str:
    return subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout.strip()


def checks(shown: dict) -> set[tuple[str, str]]:
    return {(each["check"], each["severity"]) for each in shown["findings"]}
