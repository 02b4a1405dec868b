"""What would make a build fail, found before the hour it takes; pure over what was probed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mobileopt.android_build.checkout import (
    BENCHMARK,
    SCRIPT,
    XNNPACK_FEATURES,
    Checkout,
    check_tag,
    missing_script,
)
from mobileopt.android_build.host import Host, dotted
from mobileopt.android_build.ndk import PROPERTIES, VARIABLES, VULKAN_WRAPPER, Ndk
from mobileopt.android_build.options import Options
from mobileopt.errors import UnknownNameError

GIB = 1024**3
# Estimates, to be replaced by figures from a real build: they warn, only MINIMUM_DISK refuses.
CLONE_DISK = 6 * GIB
BUILD_DISK = 6 * GIB
MINIMUM_DISK = 1 * GIB
JOB_MEMORY = 2 * GIB
BEST_NDK = "21.x, such as r21b (21.1.6352462)"

CHECKS = (
    "checkout",
    "script",
    "benchmark",
    "lite",
    "submodules",
    "modified",
    "ndk",
    "ndk-version",
    "ndk-vulkan",
    "ndk-march",
    "cmake",
    "ninja",
    "python",
    "python-packages",
    "spaces",
    "disk",
    "memory",
)


@dataclass(frozen=True)
class Finding:
    """One thing found: `severity` is error or warning, `says` and `fix` one sentence each."""

    check: str
    severity: str
    says: str
    fix: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.says}. Fix: {self.fix}. [{self.check}]"


@dataclass(frozen=True)
class Environment:
    """All that a build stands on. `checkout` is None while `tag` is still to be cloned."""

    options: Options
    ndk: Ndk
    host: Host
    cache: Path
    checkout: Checkout | None
    tag: str | None = None


def examine(found: Environment, ignored: Collection[str] = ()) -> tuple[Finding, ...]:
    """All findings, errors first; an error of an `ignored` check is a warning.

    Raises UnknownNameError for an ignored check that does not exist.
    """
    for name in ignored:
        if name not in CHECKS:
            raise UnknownNameError("check", name, CHECKS)
    findings = [
        replace(each, severity="warning") if each.check in ignored else each
        for check in (_source, _ndk, _tools, _python, _spaces, _room)
        for each in check(found)
    ]
    return tuple(sorted(findings, key=lambda each: each.severity != "error"))


def jobs(options: Options, host: Host) -> int:
    """Parallel compile jobs: as asked, else one a CPU as far as the memory goes."""
    if options.jobs is not None:
        return options.jobs
    fit = host.cpus if host.memory is None else host.memory // JOB_MEMORY
    return max(1, min(host.cpus, fit))


def _error(check: str, says: str, fix: str) -> Finding:
    return Finding(check, "error", says, fix)


def _warning(check: str, says: str, fix: str) -> Finding:
    return Finding(check, "warning", says, fix)


def _source(found: Environment) -> Iterator[Finding]:
    checkout = found.checkout
    if checkout is None:
        yield from _to_be_cloned(found.tag)
    elif checkout.problem:
        yield _error(
            "checkout", checkout.problem, "name the top folder of a git clone of PyTorch, or --tag"
        )
    else:
        yield from _script(checkout, found.options)
        yield from _submodules(checkout)
        if checkout.modified:
            yield _warning(
                "modified",
                f"{_some(checkout.modified)} of {checkout.path} differ from {checkout.name}, so "
                "the binary is marked as modified and never taken from the cache",
                "git stash, if the binary is to be that of the commit",
            )


def _to_be_cloned(tag: str | None) -> Iterator[Finding]:
    if tag is None:
        yield _error("checkout", "no PyTorch checkout is named", "give --checkout DIR or --tag")
        return
    yield _warning(
        "checkout",
        f"{check_tag(tag)} is not cloned yet, so its script and submodules have not been looked at",
        "build once without --doctor, or name a --checkout",
    )
    if _release(tag) >= (2, 9):
        yield _warning("script", missing_script(tag, None), "give --tag v2.8.0")


def _release(tag: str) -> tuple[int, ...]:
    parts = tag.removeprefix("v").split(".")[:2]
    return tuple(int(part) for part in parts) if all(p.isdecimal() for p in parts) else ()


def _script(checkout: Checkout, options: Options) -> Iterator[Finding]:
    if checkout.script is None:
        last = checkout.last_tag or "v2.8.0"
        yield _error(
            "script",
            missing_script(checkout.name, checkout.last_tag),
            f"git checkout {last} && git submodule update --init --recursive, or --tag {last}",
        )
    if not checkout.benchmark:
        yield _error(
            "benchmark",
            f"{checkout.name} has no {BENCHMARK}, the program to be built",
            "check out a release tag, such as v2.8.0",
        )
    if "lite" in options.flavours and not checkout.lite:
        yield _error(
            "lite",
            f"{checkout.name} knows no BUILD_LITE_INTERPRETER, so it has no lite interpreter",
            "give --flavour full, or check out a newer tag",
        )


def _submodules(checkout: Checkout) -> Iterator[Finding]:
    if checkout.missing_submodules:
        yield _error(
            "submodules",
            f"the submodules {_some(checkout.missing_submodules)} of {checkout.path} are not "
            "initialised",
            "git submodule update --init --recursive",
        )
    if checkout.moved_submodules:
        yield _warning(
            "submodules",
            f"the submodules {_some(checkout.moved_submodules)} of {checkout.path} are not at the "
            "commits it records",
            "git submodule update --recursive",
        )


def _ndk(found: Environment) -> Iterator[Finding]:
    ndk = found.ndk
    named = "give --ndk DIR, or set " + " or ".join(VARIABLES)
    if ndk.path is None:
        yield _error("ndk", "no Android NDK is named", named)
    elif not ndk.exists:
        yield _error("ndk", f"the NDK {ndk.path} ({ndk.named_by}) is not a folder", named)
    elif ndk.clang is None:
        yield _error(
            "ndk",
            f"{ndk.path} has no toolchains/llvm/prebuilt/*/bin/clang that can be run",
            f"name the top folder of an unpacked NDK: {BEST_NDK}",
        )
    else:
        yield from _ndk_version(ndk)
        if found.options.vulkan and not ndk.vulkan:
            yield _error(
                "ndk-vulkan",
                f"{ndk.path} lacks {VULKAN_WRAPPER}, which NDK 23 dropped, so --vulkan cannot "
                "build",
                f"leave out --vulkan, or use NDK {BEST_NDK}",
            )
        yield from _march(found)


def _ndk_version(ndk: Ndk) -> Iterator[Finding]:
    fix = f"use NDK {BEST_NDK}"
    if ndk.revision is None:
        yield _error("ndk-version", f"{ndk.path}/{PROPERTIES} names no Pkg.Revision", fix)
    elif ndk.major == 22:
        yield _warning("ndk-version", f"NDK {ndk.revision} is known to fail for old tags", fix)
    elif ndk.major != 21:
        yield _warning(
            "ndk-version", f"NDK {ndk.revision} is not the one with the best evidence", fix
        )


def _march(found: Environment) -> Iterator[Finding]:
    rejected = found.ndk.rejected or {}
    checkout = found.checkout
    unseen = checkout is None or bool(checkout.problem)
    needed = set(XNNPACK_FEATURES) if unseen or checkout is None else checkout.features
    for feature in sorted(needed & set(rejected)):
        make = _warning if unseen else _error
        yield make(
            "ndk-march",
            f"the NDK's clang rejects XNNPACK's -march=armv8.2-a+{feature}: {rejected[feature]}",
            f"give --define {XNNPACK_FEATURES[feature]}=OFF, which leaves those kernels out, or "
            "use an NDK with a newer clang",
        )


def _tools(found: Environment) -> Iterator[Finding]:
    host = found.host
    minimum = found.checkout.cmake_minimum if found.checkout else ()
    if not host.cmake:
        yield _error("cmake", "cmake is not on PATH", "pip install 'cmake<4'")
    elif host.cmake < minimum:
        yield _error(
            "cmake",
            f"cmake is {dotted(host.cmake)}, this checkout asks for {dotted(minimum)}",
            f"pip install 'cmake>={dotted(minimum)},<4'",
        )
    elif host.cmake >= (4,):
        yield _warning(
            "cmake",
            f"cmake {dotted(host.cmake)} refuses the CMakeLists of old submodules, so "
            "CMAKE_POLICY_VERSION_MINIMUM=3.5 is set for the build",
            "nothing, or use cmake 3.x if it fails all the same",
        )
    if not host.ninja and not host.make:
        yield _error("ninja", "neither ninja nor make is on PATH", "install ninja")
    elif not host.ninja:
        yield _warning("ninja", "ninja is not on PATH, so make is used, slower", "install ninja")


def _python(found: Environment) -> Iterator[Finding]:
    python = found.host.python
    if not python.version:
        yield _error("python", f"{python.path} cannot be run as Python", "give --python PATH")
        return
    yield from _distutils(found)
    if python.missing:
        packages = " ".join(python.missing)
        yield _error(
            "python-packages",
            f"{python.path} lacks {', '.join(python.missing)}, which the code generation needs",
            f"{python.path} -m pip install {packages}",
        )


def _distutils(found: Environment) -> Iterator[Finding]:
    python = found.host.python
    script = (found.checkout.script if found.checkout else None) or ""
    if python.version < (3, 12) or "distutils" not in script:
        return
    says = f"{SCRIPT} of this checkout imports distutils, which Python 3.12 removed"
    if python.distutils:
        yield _warning(
            "python",
            f"{says}, and setuptools stands in for it in Python {dotted(python.version)}",
            "give --python with a Python before 3.12 if the build fails",
        )
    else:
        yield _error(
            "python",
            f"{says}, and {python.path} is {dotted(python.version)}",
            "give --python with a Python before 3.12",
        )


def _spaces(found: Environment) -> Iterator[Finding]:
    if _blank(found.host.python.path):
        yield _error(
            "spaces",
            f"the path of the Python {found.host.python.path} has a blank, and {SCRIPT} does not "
            "quote it",
            "give --python with a path without one",
        )
    for what, path in (
        ("checkout", found.checkout.path if found.checkout else None),
        ("NDK", found.ndk.path),
        ("cache", found.cache),
    ):
        if path is not None and _blank(path):
            yield _warning(
                "spaces",
                f"the path of the {what}, {path}, has a blank: {SCRIPT} copes, PyTorch's own CMake "
                "files have not been seen to",
                "move it if the build fails",
            )


def _blank(path: Path) -> bool:
    return any(character.isspace() for character in str(path))


def _room(found: Environment) -> Iterator[Finding]:
    clone = CLONE_DISK if found.checkout is None else 0
    needed = clone + BUILD_DISK
    free = found.host.disk
    if free is not None and free < needed:
        make = _error if free < MINIMUM_DISK else _warning
        yield make(
            "disk",
            f"{found.cache} has {free / GIB:.1f} GiB free, a build takes about "
            f"{needed / GIB:.0f} GiB",
            "make room, or give --cache on another disk",
        )
    yield from _memory(found)


def _memory(found: Environment) -> Iterator[Finding]:
    count = jobs(found.options, found.host)
    memory = found.host.memory
    if memory is None:
        return
    if count * JOB_MEMORY > memory:
        yield _warning(
            "memory",
            f"{count} compile jobs may take {count * JOB_MEMORY / GIB:.0f} GiB, "
            f"{memory / GIB:.1f} GiB are available",
            "give a lower --jobs",
        )
    elif found.options.jobs is None and count < found.host.cpus:
        yield _warning(
            "memory",
            f"{memory / GIB:.1f} GiB of memory are enough for {count} compile jobs, fewer than "
            f"the {found.host.cpus} CPUs",
            "nothing, or give --jobs",
        )


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
