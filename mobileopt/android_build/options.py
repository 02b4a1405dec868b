"""What is asked of a build: an ABI, flavours, and the flags that change the binary."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mobileopt.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Abi:
    """An Android ABI: `android` is what the script is given, `triple` what clang is."""

    name: str
    android: str
    triple: str
    machine: str
    bits: int


# "armeabi-v7a with NEON" is what the script itself takes when no ABI is named.
ABIS = {
    abi.name: abi
    for abi in (
        Abi("arm64-v8a", "arm64-v8a", "aarch64-linux-android21", "AArch64", 64),
        Abi("armeabi-v7a", "armeabi-v7a with NEON", "armv7a-linux-androideabi21", "ARM", 32),
        Abi("x86_64", "x86_64", "x86_64-linux-android21", "x86-64", 64),
        Abi("x86", "x86", "i686-linux-android21", "x86", 32),
    )
}
FLAVOURS = {"full": ("full",), "lite": ("lite",), "both": ("full", "lite")}

_DEFINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=([A-Za-z0-9_./:,;+=@%-]*)")
_OURS = {
    "BUILD_BINARY": "always ON here",
    "BUILD_LITE_INTERPRETER": "set by --flavour",
    "USE_VULKAN": "set by --vulkan",
    "ANDROID_ABI": "set by --abi",
    "ANDROID_NDK": "set by --ndk",
    "CMAKE_TOOLCHAIN_FILE": "set by --ndk",
    "CMAKE_INSTALL_PREFIX": "inside the build's own folder",
}


@dataclass(frozen=True)
class Options:
    """ABI, flavours and flags of one order, checked.

    `defines` are CMake variables, ``NAME=VALUE``. `jobs` is the number of parallel compile
    jobs, None for one that suits the machine. Raises InputError for what cannot be used.
    """

    abi: Abi
    flavours: tuple[str, ...] = ("full", "lite")
    vulkan: bool = False
    defines: tuple[str, ...] = ()
    jobs: int | None = None

    def __post_init__(self) -> None:
        for define in self.defines:
            _check_define(define)
        names = [define.partition("=")[0] for define in self.defines]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"--define {name} is given more than once")
        if self.jobs is not None and self.jobs < 1:
            raise InputError(f"--jobs is {self.jobs}, it must be at least 1")


def options(
    abi: str,
    flavour: str = "both",
    *,
    vulkan: bool = False,
    defines: tuple[str, ...] = (),
    jobs: int | None = None,
) -> Options:
    """Options from words; raises UnknownNameError for an ABI or a flavour that is none."""
    if abi not in ABIS:
        raise UnknownNameError("ABI", abi, ABIS)
    if flavour not in FLAVOURS:
        raise UnknownNameError("flavour", flavour, FLAVOURS)
    return Options(ABIS[abi], FLAVOURS[flavour], vulkan, tuple(sorted(defines)), jobs)


def _check_define(define: str) -> None:
    found = _DEFINE.fullmatch(define)
    if not found:
        # The script splits its arguments at blanks and expands * and ? in them.
        raise InputError(
            f"--define {define!r} is not NAME=VALUE without blanks, quotes and wildcards, "
            "as in XNNPACK_ENABLE_ARM_I8MM=OFF"
        )
    if found[1] in _OURS:
        raise InputError(f"--define {found[1]} cannot be given: it is {_OURS[found[1]]}")
