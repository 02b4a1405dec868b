"""The hosts of a lab as processes on this one, for `benchmarks.verdicts.nightly --cluster`.

A scheduler, three workers, each with a clone, a configuration and an adb server of its own; and
somebody who kills one of each while the night measures, and a worker while it compares.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobileopt.nightly.ledger import Ledger

HOSTS = 3
_DIED = (("measure", 2), ("measure", 5), ("measure", 8), ("compare", 1))
"""Jobs after which a worker, the scheduler, an adb server and another worker are killed."""
_QUIET_ADB = {"ADB_LIBUSB": "0", "ADB_MDNS": "0", "ADB_LOCAL_TRANSPORT_MAX_PORT": "5554"}


@dataclass
class Cluster:
    """Processes by name, each with what starts it again; `killed` tells what was done to them."""

    folder: Path
    url: str
    starts: dict[str, Callable[[], subprocess.Popen[bytes]]] = field(default_factory=dict[str, Any])
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, Any])
    adb_ports: list[int] = field(default_factory=list[int])
    homes: list[Path] = field(default_factory=list[Path])
    killed: list[str] = field(default_factory=list[str])

    @staticmethod
    def deeds(*, comparing: bool) -> int:
        """How many will be killed in a night that does compare, or does not."""
        return sum(comparing or kind == "measure" for kind, _ in _DIED)

    def start(self, name: str) -> None:
        """Start a process, for the first time or again."""
        self.running[name] = self.starts[name]()

    def kill(self, name: str) -> None:
        """`kill -9` and, two seconds later, a new one."""
        self.running[name].kill()
        self.running[name].wait()
        self.killed.append(name)
        time.sleep(2)
        self.start(name)

    def kill_adb(self) -> None:
        """`kill -9` of the first host's adb server; who needs it starts another."""
        if _kill_adb(self.adb_ports[0]):
            self.killed.append("adb server")

    def disturb(self, ledger: Path, stop: threading.Event, comparing: bool) -> None:
        """Kill one of each as the night goes on; the last when it is `comparing`."""
        deeds = [
            lambda: self.kill("worker2"),
            lambda: self.kill("scheduler"),
            self.kill_adb,
            lambda: self.kill("worker1"),
        ][: self.deeds(comparing=comparing)]
        for (kind, after), deed in zip(_DIED, deeds, strict=False):
            while not stop.wait(0.2):
                if jobs(ledger, kind) >= after:
                    deed()
                    print(f"killed {self.killed[-1:]}", file=sys.stderr, flush=True)
                    break

    def end(self) -> None:
        """End all of it, also the adb server that took the killed one's place."""
        for process in self.running.values():
            process.kill()
            process.wait()
        for port in self.adb_ports:
            _kill_adb(port)


@contextlib.contextmanager
def cluster(
    folder: Path, clone: Path, phones: dict[str, Any], configure: Callable[..., Path]
) -> Iterator[Cluster]:
    """A scheduler and its workers, the phones shared out among them."""
    from tests.loopback.server import adb_server, free_port, listens

    port = free_port()
    made = Cluster(folder, f"tcp://127.0.0.1:{port}")
    scheduler = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard"]
    made.starts["scheduler"] = lambda: _start(made, "scheduler", [*scheduler, "--port", str(port)])
    with contextlib.ExitStack() as stack:
        for number in range(1, HOSTS + 1):
            home = folder / f"host{number}"
            home.mkdir()
            made.homes.append(home)
            subprocess.run(["git", "clone", "--quiet", str(clone), str(home / "clone")], check=True)
            adb = stack.enter_context(adb_server(home))
            made.adb_ports.append(adb)
            own = {key: phones[key][number - 1 :: HOSTS] for key in ("serials", "connect")}
            config = configure(home, phones | own | {"adb_port": adb}, made.url)
            made.starts[f"worker{number}"] = _worker(made, f"worker{number}", home, config)
        made.start("scheduler")
        while not listens(port):
            time.sleep(0.1)
        for name in list(made.starts)[1:]:
            made.start(name)
        _wait_for(made, folder, len(phones["serials"]))
        try:
            yield made
        finally:
            made.end()


def jobs(ledger: Path, kind: str) -> int:
    """How many jobs of a kind have ended, as a ledger says that somebody is writing."""
    with contextlib.suppress(FileNotFoundError):
        return sum(1 for _ in Ledger(ledger).of("took", what=kind))
    return 0


def _kill_adb(port: int) -> int:
    """`kill -9` the adb server of a port of ours, whoever has started it; how many there were."""
    wanted, killed = {f"tcp:{host}{port}" for host in ("", "localhost:", "127.0.0.1:")}, 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if words[0].endswith("adb") and wanted & set(words):
                os.kill(int(process.name), signal.SIGKILL)
                killed += 1
    return killed


def _worker(made: Cluster, name: str, home: Path, config: Path) -> Callable[[], Any]:
    arguments = ["-m", "tools.worker", "--config", str(config)]
    return lambda: _start(made, name, arguments, home)


def _start(made: Cluster, name: str, arguments: list[str], home: Path | None = None) -> Any:
    place = (home / "clone") if home else made.folder
    environment = os.environ | _QUIET_ADB | {"XDG_CACHE_HOME": str(place.parent / "cache")}
    environment["PYTHONPATH"] = str(place if home else Path.cwd())
    with (made.folder / f"{name}.log").open("ab") as log:
        command = [sys.executable, *arguments]
        return subprocess.Popen(command, cwd=place, env=environment, stdout=log, stderr=log)


def _wait_for(made: Cluster, folder: Path, phones: int) -> None:
    """Until every phone was offered."""
    end = time.monotonic() + 180
    while True:
        offered = "".join(
            (folder / f"{name}.log").read_text() for name in made.running if name != "scheduler"
        )
        if offered.count("device:") >= phones:
            return
        if time.monotonic() > end:
            raise SystemExit(f"the workers did not offer their phones:\n{offered}")
        time.sleep(0.5)
