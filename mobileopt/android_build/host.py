"""The machine a build runs on: its tools, its Python, its memory and its disk."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobileopt.android_build.process import capture

PACKAGES = {
    "yaml": "pyyaml",
    "typing_extensions": "typing_extensions",
    "numpy": "numpy",
    "setuptools": "setuptools",
}
_PROBE = """
import importlib.util, json, sys
def has(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
try:
    import distutils.sysconfig
    distutils = True
except Exception:
    distutils = False
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "missing": [name for name in sys.argv[1:] if not has(name)],
    "distutils": distutils,
}))
"""


@dataclass(frozen=True)
class Python:
    """The Python the script runs for code generation; `version` is empty when it will not."""

    path: Path
    version: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()
    distutils: bool = False


@dataclass(frozen=True)
class Host:
    """Versions are empty for a tool that is absent; memory and disk are in bytes."""

    python: Python
    cmake: tuple[int, ...] = ()
    ninja: tuple[int, ...] = ()
    make: bool = False
    cpus: int = 1
    memory: int | None = None
    disk: int | None = None


def describe(python: Path, cache: Path, environ: Mapping[str, str]) -> Host:
    """Probe this machine. Never raises for what it finds."""
    return Host(
        python=_python(python, environ),
        cmake=_version("cmake", environ),
        ninja=_version("ninja", environ),
        make=shutil.which("make", path=environ.get("PATH")) is not None,
        cpus=_cpus(),
        memory=_memory(),
        disk=_disk(cache),
    )


def dotted(version: tuple[int, ...]) -> str:
    """A version as it is written: 3.25.1."""
    return ".".join(str(part) for part in version)


def _version(tool: str, environ: Mapping[str, str]) -> tuple[int, ...]:
    done = capture([tool, "--version"], environ=environ)
    found = re.search(r"(\d+(?:\.\d+)+)", done.stdout) if done and done.returncode == 0 else None
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def _python(path: Path, environ: Mapping[str, str]) -> Python:
    done = capture([path, "-W", "ignore", "-c", _PROBE, *PACKAGES], environ=environ)
    try:
        said = json.loads(done.stdout if done else "")
        missing = tuple(PACKAGES[name] for name in said["missing"])
        return Python(path, tuple(said["version"]), missing, bool(said["distutils"]))
    except (ValueError, KeyError, TypeError):
        return Python(path)


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int | None:
    """Memory a new program can have without swapping, in bytes; Linux says, others do not."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = re.search(r"^MemAvailable:\s*(\d+) kB$", text, re.M)
    return int(found[1]) * 1024 if found else None


def _disk(folder: Path) -> int | None:
    """Free bytes where `folder` is or will be."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None
