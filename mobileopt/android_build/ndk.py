"""An Android NDK: where it is, its version, and what its clang accepts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobileopt.android_build.checkout import XNNPACK_FEATURES
from mobileopt.android_build.options import Abi
from mobileopt.android_build.process import capture, clean

VARIABLES = ("ANDROID_NDK", "ANDROID_NDK_HOME", "ANDROID_NDK_ROOT")
PROPERTIES = "source.properties"
VULKAN_WRAPPER = "sources/third_party/vulkan/src/common/vulkan_wrapper.h"
_REVISION = re.compile(r"^Pkg\.Revision\s*=\s*(\d+(?:\.\d+)*(?:-[a-z0-9]+)?)\s*$", re.M)


@dataclass(frozen=True)
class Ndk:
    """An NDK as found. `path` is None when none is named; `named_by` says what named it.

    `revision` is its full version, `rejected` the Arm v8.2 features its clang does not know,
    each with what clang said. `vulkan` is whether it has the wrapper PyTorch compiles.
    """

    path: Path | None = None
    named_by: str = ""
    exists: bool = False
    revision: str | None = None
    clang: Path | None = None
    clang_version: str | None = None
    rejected: Mapping[str, str] | None = None
    vulkan: bool = False

    @property
    def major(self) -> int:
        """The release: 21 of 21.4.7075529; 0 when unknown."""
        return int(self.revision.split(".")[0]) if self.revision else 0


def locate(given: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, str]:
    """The NDK the user names, by option first and then by variable, and what named it."""
    if given is not None:
        return given.absolute(), "--ndk"
    for variable in VARIABLES:
        if environ.get(variable):
            return Path(environ[variable]).absolute(), variable
    return None, ""


def describe(given: Path | None, abi: Abi, environ: Mapping[str, str]) -> Ndk:
    """Read an NDK and try its clang. Never raises for what it finds."""
    path, named_by = locate(given, environ)
    if path is None or not path.is_dir():
        return Ndk(path, named_by)
    clang = _clang(path)
    return Ndk(
        path,
        named_by,
        exists=True,
        revision=_revision(path),
        clang=clang,
        clang_version=_clang_version(clang, environ),
        rejected=_rejected(clang, abi, environ),
        vulkan=(path / VULKAN_WRAPPER).is_file(),
    )


def _revision(path: Path) -> str | None:
    try:
        text = (path / PROPERTIES).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = _REVISION.search(text)
    return found[1] if found else None


def _clang(path: Path) -> Path | None:
    found = sorted(path.glob("toolchains/llvm/prebuilt/*/bin/clang"))
    return next((each for each in found if os.access(each, os.X_OK)), None)


def _clang_version(clang: Path | None, environ: Mapping[str, str]) -> str | None:
    done = capture([clang, "--version"], environ=environ) if clang else None
    return clean(done.stdout.splitlines()[0]) if done and done.stdout else None


def _rejected(clang: Path | None, abi: Abi, environ: Mapping[str, str]) -> dict[str, str]:
    if clang is None or abi.machine not in ("AArch64", "ARM"):
        return {}
    tried = {feature: _compile(clang, abi, feature, environ) for feature in XNNPACK_FEATURES}
    return {feature: said for feature, said in tried.items() if said is not None}


def _compile(clang: Path, abi: Abi, feature: str, environ: Mapping[str, str]) -> str | None:
    """Compile nothing with the flag XNNPACK gives; what clang says when it will not."""
    flags = [f"--target={abi.triple}", f"-march=armv8.2-a+{feature}", "-c", "-x", "c"]
    argv = [clang, *flags, "-o", os.devnull, "-"]
    done = capture(argv, environ=environ, stdin="int nothing;\n")
    if done is None:
        return "it cannot be started"
    if done.returncode == 0:
        return None
    said = [line for line in done.stderr.splitlines() if "error" in line]
    return clean((said or done.stderr.splitlines() or ["no reason given"])[0])
