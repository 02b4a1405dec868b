"""The hosts of a lab as processes on this one, for `benchmarks.verdicts.nightly --cluster`.

A scheduler, three workers, each with a clone, a configuration and an adb server of its own; and
somebody who kills one of each in the middle of the night.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOSTS = 3
_DIED = (2, 5, 8)  # jobs after which a worker, the scheduler and an adb server are killed
_QUIET_ADB = {"ADB_LIBUSB": "0", "ADB_MDNS": "0", "ADB_LOCAL_TRANSPORT_MAX_PORT": "5554"}


@dataclass
class Cluster:
    """Processes by name, each with what starts it again; `killed` tells what was done to them."""

    folder: Path
    url: str
    starts: dict[str, Callable[[], subprocess.Popen[bytes]]] = field(default_factory=dict[str, Any])
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, Any])
    adb_ports: list[int] = field(default_factory=list[int])
    killed: list[str] = field(default_factory=list[str])

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
        wanted = f"tcp:localhost:{self.adb_ports[0]}".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (process / "cmdline").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)
                    self.killed.append("adb server")

    def disturb(self, ledger: Path, stop: threading.Event) -> None:
        """Kill one of each as the night goes on."""
        deeds = [lambda: self.kill("worker2"), lambda: self.kill("scheduler"), self.kill_adb]
        for after, deed in zip(_DIED, deeds, strict=True):
            while not stop.wait(0.2):
                if _jobs(ledger) >= after:
                    deed()
                    break


@contextlib.contextmanager
def cluster(
    folder: Path, clone: Path, phones: dict[str, Any], program: Path, configure: Callable[..., Path]
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
            subprocess.run(["git", "clone", "--quiet", str(clone), str(home / "clone")], check=True)
            adb = stack.enter_context(adb_server(home))
            made.adb_ports.append(adb)
            own = {key: phones[key][number - 1 :: HOSTS] for key in ("serials", "connect")}
            config = configure(home, phones | own | {"adb_port": adb}, program, made.url)
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
            for process in made.running.values():
                process.kill()


def count(results: Path) -> Counter[tuple[str, ...]]:
    """How often each machine's commit and combination was measured, as the side-cars tell."""
    from mobileopt.store import Store

    runs = (run for run in Store(results).runs() if run["kind"] == "run" and not run["reason"])
    return Counter((run["machine"], run["file"], *run["combination"]) for run in runs)


def _jobs(ledger: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return sum('"took"' in line for line in ledger.read_text().splitlines())
    return 0


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


def told(found: Counter[tuple[str, ...]], expected: int) -> str:
    """A line about the count."""
    doubled = [key for key, number in found.items() if number > 1]
    return json.dumps({"expected": expected, "stored": len(found), "doubled": len(doubled)})
