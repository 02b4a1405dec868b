"""A real adbd with the shell and the tools that phones have, in a bubblewrap root.

adbd, mksh and toybox are Debian trixie's, fetched once with the host's own apt into a cache
folder and run under their own loader, so the host may be older. No root, no installation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

from tests.loopback.root import WORK, Root
from tests.loopback.server import free_port, listens

PACKAGES = ("adbd", "mksh", "toybox")
SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
HERE = Path(__file__).parent
LOADER = (
    "/trixie/lib64/ld-linux-x86-64.so.2",
    "--library-path",
    "/trixie/lib/x86_64-linux-gnu:/trixie/lib/x86_64-linux-gnu/android",
)
TOOLS = (
    "basename cat chmod chown cmp cp cut date dd df dirname du echo env expr false file find "
    "grep head hostname id kill ln ls md5sum mkdir mktemp mv nohup od printf ps pwd readlink "
    "realpath rm rmdir sed setsid sha1sum sha256sum sleep sort stat tail taskset tee test timeout "
    "touch tr true uname uniq uptime wc which xargs"
)


def _cache() -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "mobileopt-tests" / f"adbd-{SUITE}"


@cache
def missing() -> str:
    """Why this machine cannot have a real adbd, or nothing."""
    for program in ("bwrap", "gcc", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    try:
        _prepare(_cache())
    except (subprocess.SubprocessError, OSError, LookupError) as error:
        return f"Debian {SUITE}'s adbd cannot be fetched: {error}"
    alone = ["bwrap", "--unshare-user", "--ro-bind", "/", "/", "true"]
    tried = subprocess.run(alone, capture_output=True, text=True, check=False)
    return tried.stderr.strip()


def _prepare(folder: Path) -> None:
    """Fetch and unpack, once; a half-done attempt is never taken for a whole one."""
    if (folder / "root").is_dir():
        return
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    (fresh / "lists/partial").mkdir(parents=True)
    (fresh / "archives/partial").mkdir(parents=True)
    try:
        _fetch(fresh)
        for package in (fresh / "archives").glob("*.deb"):
            _quiet(["dpkg-deb", "-x", str(package), str(fresh / "unpacked")])
        preload = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(fresh / "loopback.so")]
        _quiet([*preload, str(HERE / "loopback.c"), "-ldl"])
        (fresh / "unpacked").rename(fresh / "root")
        shutil.rmtree(fresh / "lists")
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _fetch(fresh: Path) -> None:
    source = f"deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n"
    (fresh / "sources.list").write_text(source)
    (fresh / "apt.conf").write_text(
        f'Dir::State::Lists "{fresh}/lists";\nDir::Cache "{fresh}";\n'
        f'Dir::Etc::SourceList "{fresh}/sources.list";\nDir::Etc::SourceParts "-";\n'
        'Dir::State::status "/dev/null";\nAPT::Sandbox::User "";\nDebug::NoLocking "true";\n'
        'Acquire::Languages "none";\nAPT::Architecture "amd64";\n'
    )
    apt = {**os.environ, "APT_CONFIG": str(fresh / "apt.conf")}
    _quiet(["apt-get", "update"], apt)
    options = ["--no-install-recommends", "-y", "--download-only"]
    _quiet(["apt-get", *options, "install", *PACKAGES], apt)


def _mirror() -> str:
    """Where this host gets Debian from."""
    wanted = "$(REPO_URI)\t$(LABEL)"
    command = ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        uri, label = line.split("\t")
        if label == "Debian":
            return uri
    raise LookupError("this host's apt knows no Debian archive")


def _quiet(command: list[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=300)


class Sandbox:
    """A phone whose adbd, shell and tools are the real ones."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.port = free_port()
        self._tools()
        self.power_on()

    @property
    def address(self) -> str:
        """What `adb connect` takes."""
        return f"127.0.0.1:{self.port}"

    def power_on(self) -> None:
        """Start adbd and wait until it listens."""
        if listens(self.port):
            raise RuntimeError(f"port {self.port} is taken; adbd would share it")
        log = (self.root.folder / "adbd.log").open("wb")
        with log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        ends = time.monotonic() + 10
        while not listens(self.port):
            if time.monotonic() > ends or self._process.poll() is not None:
                raise RuntimeError(self.root.read("adbd.log"))
            time.sleep(0.02)

    def power_off(self) -> None:
        """Be gone; its init ignores SIGTERM."""
        self._process.kill()
        self._process.wait()

    def _command(self) -> list[str]:
        folder, unpacked = self.root.folder, _cache() / "root"
        return [
            *("bwrap", "--die-with-parent", "--unshare-user", "--unshare-pid", "--unshare-ipc"),
            *("--uid", "2000", "--gid", "2000", "--clearenv"),
            *("--ro-bind", f"{unpacked}/usr", "/trixie"),
            *("--ro-bind", "/usr", "/usr"),  # Python's and torch's libraries
            *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
            *("--ro-bind", f"{folder}/system", "/system", "--symlink", "system/bin", "/bin"),
            *("--bind", f"{folder}/data", "/data", "--bind", f"{folder}/state", "/state"),
            *("--ro-bind", f"{folder}/sys", "/sys", "--proc", "/proc", "--dev", "/dev"),
            *self._proc(),
            *self._python(),
            *("--ro-bind", f"{_cache()}/loopback.so", "/loopback.so"),
            *("--setenv", "ADBD_PORT", str(self.port), "--setenv", "PATH", "/system/bin"),
            *("--setenv", "PHONE_ROOT", "", "--setenv", "LD_PRELOAD", "/loopback.so"),
            *("--chdir", WORK),
            *LOADER,
            "/trixie/lib/android-sdk/platform-tools/adbd",
        ]

    def _proc(self) -> list[str]:
        names = ("loadavg", "uptime", "meminfo", "cpuinfo")
        pairs = (
            ("--ro-bind", f"{self.root.folder}/proc/{name}", f"/proc/{name}") for name in names
        )
        return [word for pair in pairs for word in pair]

    def _python(self) -> list[str]:
        places = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
        pairs = (("--ro-bind", place, place) for place in sorted(places) if place != "/usr")
        return [word for pair in pairs for word in pair]

    def _tools(self) -> None:
        folder = self.root.folder / "system/bin"
        shutil.copy(_cache() / "root/usr/bin/mksh-static", folder / "sh")
        run = " ".join((*LOADER, "/trixie/bin/toybox"))
        for tool in TOOLS.split():
            self.root.tool(tool, f'exec {run} {tool} "$@"')
