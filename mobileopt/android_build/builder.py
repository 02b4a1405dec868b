"""From an order to binaries in the cache: look, clone, examine, run the script, check, keep."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from mobileopt.android_build import checkout as sources
from mobileopt.android_build import doctor, elf, host, ndk
from mobileopt.android_build.cache import BINARY, Cache, Entry, Key
from mobileopt.android_build.options import Abi, Options
from mobileopt.android_build.process import stream
from mobileopt.artifact import digest
from mobileopt.errors import ArtifactError, BuildError, InputError, OutputError

LAST_LINES = 15
# What a compiler, ccache and a download may need. Not CFLAGS, CC and their like: those are
# the host's, and CMake would cross-compile with them.
_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LC_\w+|TMPDIR|CCACHE_\w+|SSL_CERT_\w+|(https?|no)_proxy", re.I
)


class Progress(Protocol):
    """Told what happens while it happens."""

    def begin(self, what: str) -> None:
        """A long part starts, replacing the one before."""

    def line(self, text: str) -> None:
        """The running program printed a line."""

    def note(self, text: str) -> None:
        """Something worth a line of its own."""


@dataclass(frozen=True)
class Order:
    """What to build, from what, into which cache. One of `checkout` and `tag` is named."""

    options: Options
    cache: Cache
    environ: Mapping[str, str]
    python: Path
    checkout: Path | None = None
    tag: str | None = None
    repository: str = sources.REPOSITORY
    ndk: Path | None = None
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.checkout is not None and self.tag is not None:
            raise InputError("--checkout and --tag are both given; the source can be only one")
        if self.tag is not None:
            sources.check_tag(self.tag)

    @property
    def source(self) -> Path | None:
        """The folder the source is in, or will be cloned to; None when nothing is named."""
        if self.tag is None:
            return self.checkout
        return self.cache.root / "sources" / sources.folder_of(self.tag, self.repository)


@dataclass(frozen=True)
class Built:
    """A binary in the cache; `cached` when it was there before."""

    entry: Entry
    cached: bool


@dataclass(frozen=True)
class Outcome:
    """The doctor's findings and the binaries; none are built when a finding is an error."""

    findings: tuple[doctor.Finding, ...] = ()
    built: tuple[Built, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether a finding is an error."""
        return any(each.severity == "error" for each in self.findings)


def survey(order: Order) -> doctor.Environment:
    """Probe all that the build would stand on."""
    source = order.source
    there = source is not None and (order.tag is None or source.is_dir())
    checkout = None
    if source is not None and there:
        checkout = sources.describe(source, order.options.defines, order.environ)
    return doctor.Environment(
        order.options,
        ndk.describe(order.ndk, order.options.abi, order.environ),
        host.describe(order.python, order.cache.root, order.environ),
        order.cache.root,
        checkout,
        order.tag,
    )


def diagnose(order: Order) -> tuple[doctor.Finding, ...]:
    """The doctor alone: nothing is cloned, built or written."""
    return doctor.examine(survey(order), order.ignored)


def build(order: Order, progress: Progress) -> Outcome:
    """Build what the order asks for and the cache lacks.

    Raises BuildError for a build that failed, OutputError for a cache that cannot be written.
    A build that fails, or is interrupted, leaves the cache's binaries as they were.
    """
    progress.begin("looking at the source, the NDK and this machine")
    found = survey(order)
    if found.checkout is None:
        findings = doctor.examine(found, order.ignored)
        if Outcome(findings).refused or order.tag is None:
            return Outcome(findings)
        _clone(order, progress)
        found = survey(order)
    hits = _cached(order, found, progress)
    if hits:
        return Outcome((), hits)
    findings = doctor.examine(found, order.ignored)
    if Outcome(findings).refused or found.checkout is None:
        return Outcome(findings)
    for each in findings:
        progress.note(str(each))
    return Outcome(findings, _build_all(order, found, found.checkout, progress))


def key(found: doctor.Environment, checkout: sources.Checkout, flavour: str) -> Key:
    """The key of one flavour built from what was found."""
    return Key(
        commit=checkout.commit,
        tag=checkout.tag,
        modified=bool(checkout.modified or checkout.moved_submodules),
        ndk=found.ndk.revision or "unknown",
        abi=found.options.abi.name,
        flavour=flavour,
        vulkan=found.options.vulkan,
        defines=found.options.defines,
    )


def arguments(options: Options, flavour: str) -> tuple[str, ...]:
    """The CMake arguments for the script; it splits them at blanks, so they have none."""
    switch = {True: "ON", False: "OFF"}
    return (
        "-DBUILD_BINARY=ON",
        # Also in the environment, which not every version of the script reads.
        f"-DBUILD_LITE_INTERPRETER={switch[flavour == 'lite']}",
        # Said either way: later CMakeLists turn Vulkan on for Android unless they are told.
        f"-DUSE_VULKAN={switch[options.vulkan]}",
        # The script derives it from BUILD_ROOT, which is relative here.
        "-DCMAKE_INSTALL_PREFIX=install",
        *(f"-D{define}" for define in options.defines),
    )


def environment(
    found: doctor.Environment, flavour: str, outer: Mapping[str, str]
) -> dict[str, str]:
    """All the variables the script sees."""
    ours = {
        "ANDROID_NDK": str(found.ndk.path),
        "ANDROID_ABI": found.options.abi.android,
        "BUILD_LITE_INTERPRETER": "1" if flavour == "lite" else "0",
        "BUILD_PYTORCH_MOBILE": "1",  # early scripts ask for it, later ones do not look
        # Relative to the folder it is started in: the script does not quote it.
        "BUILD_ROOT": "./build_android",
        "MAX_JOBS": str(doctor.jobs(found.options, found.host)),
        "PYTHON": str(found.host.python.path),
    }
    if found.options.vulkan:
        ours["USE_VULKAN"] = "1"
    if found.host.cmake >= (4,):
        ours["CMAKE_POLICY_VERSION_MINIMUM"] = "3.5"
    return {name: value for name, value in outer.items() if _KEPT.fullmatch(name)} | ours


def _clone(order: Order, progress: Progress) -> None:
    source, tag = order.source, order.tag
    assert source is not None
    assert tag is not None
    order.cache.folder("sources")
    log = order.cache.folder("logs") / f"clone-{source.name}-{_stamp()}.log"
    with order.cache.locked(f"source-{source.name}", f"cloning PyTorch {tag}"):
        if source.is_dir():
            return
        progress.begin(f"cloning PyTorch {tag} and its submodules")
        sources.clone(
            tag,
            source,
            repository=order.repository,
            environ=order.environ,
            log=log,
            on_line=progress.line,
        )


def _cached(order: Order, found: doctor.Environment, progress: Progress) -> tuple[Built, ...]:
    """All flavours when the cache has all of them; no tool is needed then, nor examined."""
    checkout = found.checkout
    if checkout is None or checkout.problem or not found.ndk.revision:
        return ()
    entries = [
        _find(order.cache, key(found, checkout, flavour), progress)
        for flavour in order.options.flavours
    ]
    hits = tuple(Built(entry, cached=True) for entry in entries if entry)
    return hits if len(hits) == len(entries) else ()


def _find(cache: Cache, wanted: Key, progress: Progress) -> Entry | None:
    try:
        return cache.find(wanted)
    except ArtifactError as error:
        progress.note(f"{error}; it is built again")
        return None


def _build_all(
    order: Order, found: doctor.Environment, checkout: sources.Checkout, progress: Progress
) -> tuple[Built, ...]:
    # One build at a time in one source tree: PyTorch writes generated code into it.
    tree = hashlib.sha256(os.fsencode(checkout.path.resolve())).hexdigest()[:12]
    built: list[Built] = []
    with order.cache.locked(f"tree-{tree}", f"building from {checkout.path}"):
        for flavour in order.options.flavours:
            wanted = key(found, checkout, flavour)
            with order.cache.locked(wanted.name, f"building {wanted.name}"):
                entry = _find(order.cache, wanted, progress)
                if entry:
                    built.append(Built(entry, cached=True))
                else:
                    entry = _Attempt(order, found, checkout, wanted).run(progress)
                    built.append(Built(entry, cached=False))
    return tuple(built)


@dataclass(frozen=True)
class _Attempt:
    order: Order
    found: doctor.Environment
    checkout: sources.Checkout
    key: Key

    def run(self, progress: Progress) -> Entry:
        cache = self.order.cache
        folder = cache.attempt(self.key)
        log = cache.folder("logs") / f"{self.key.name}-{_stamp()}.log"
        progress.begin(f"building {self.key.name}")
        started = time.monotonic()
        try:
            self._script(folder, log, progress)
            entry = self._keep(folder, log, started)
        except (KeyboardInterrupt, OutputError):
            cache.discard(self.key)  # a failed build's folder is kept, this one tells nothing
            raise
        cache.discard(self.key)
        return entry

    def _script(self, folder: Path, log: Path, progress: Progress) -> None:
        argv = ["bash", self.checkout.path / sources.SCRIPT]
        argv += arguments(self.found.options, self.key.flavour)
        environ = environment(self.found, self.key.flavour, self.order.environ)
        _head(log, argv, environ)
        last: deque[str] = deque(maxlen=LAST_LINES)

        def line(text: str) -> None:
            last.append(text)
            progress.line(text)

        code = stream(argv, environ=environ, cwd=folder, log=log, on_line=line)
        if code:
            ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise BuildError(
                f"{sources.SCRIPT} {ended} while building {self.key.name}; its log is {log}, its "
                f"files are in {folder}, its last lines are:\n"
                + "\n".join(f"  {text}" for text in last)
            )

    def _keep(self, folder: Path, log: Path, started: float) -> Entry:
        root = folder / "build_android"
        binary = root / "bin" / BINARY
        machine = check_binary(binary, self.found.options.abi, log)
        _check_flavour(root, self.key.flavour, log)
        seconds = time.monotonic() - started
        return self.order.cache.put(binary, self._entry(binary, machine, seconds, log))

    def _entry(self, binary: Path, machine: str, seconds: float, log: Path) -> Entry:
        tools = self.found.host
        return Entry(
            key=self.key,
            sha256=digest(binary),
            size=binary.stat().st_size,
            machine=machine,
            built=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(seconds, 1),
            log=log.name,
            versions={
                "ndk": self.found.ndk.revision or "",
                "clang": self.found.ndk.clang_version or "",
                "cmake": host.dotted(tools.cmake),
                "ninja": host.dotted(tools.ninja),
                "python": host.dotted(tools.python.version),
            },
            folder=binary.parent,
        )


def check_binary(binary: Path, abi: Abi, log: Path) -> str:
    """The machine `binary` is for; raises BuildError unless it is a program for `abi`."""
    if binary.is_symlink() or not binary.is_file():
        raise BuildError(f"the build ended well and left no {binary}; its log is {log}")
    try:
        found = elf.read(binary)
    except ValueError as error:
        raise BuildError(f"{binary} {error}; its log is {log}") from error
    if (found.machine, found.bits) != (abi.machine, abi.bits):
        raise BuildError(
            f"{binary} is for {found.machine} ({found.bits} bits), {abi.name} is {abi.machine} "
            f"({abi.bits} bits): the NDK's toolchain was not used; its log is {log}"
        )
    return found.machine


def _check_flavour(root: Path, flavour: str, log: Path) -> None:
    """Compare CMake's own record with the flavour: a lite binary refuses every `.pt` file."""
    try:
        text = (root / "CMakeCache.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    wanted = "ON" if flavour == "lite" else "OFF"
    found = re.search(r"^BUILD_LITE_INTERPRETER:\w+=(\w+)$", text, re.M)
    if found and found[1].upper() != wanted:
        raise BuildError(
            f"CMake was configured with BUILD_LITE_INTERPRETER={found[1]} for the {flavour} "
            f"flavour, which needs {wanted}; its log is {log}"
        )


def _head(log: Path, argv: list[str | Path], environ: Mapping[str, str]) -> None:
    shown = [f"{name}={environ[name]}" for name in sorted(environ) if "proxy" not in name.lower()]
    lines = ["command:", *(f"  {each}" for each in argv), "environment:"]
    text = "\n".join([*lines, *(f"  {each}" for each in shown), ""]) + "\n"
    try:
        log.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"the log {log} cannot be written: {error.strerror}") from error


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
