"""An adb server that ends while phones behind it are being measured."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading

import adbutils
import pytest

from mobileopt.adb import Server
from mobileopt.collection import Event
from tests.collection import lab
from tests.collection.ground import EXPORTING, MOMENTS, VARIANTS, in_time
from tests.loopback.adbd import Adbd
from tests.loopback.root import Root
from tests.loopback.server import adb_process

pytestmark = pytest.mark.usefixtures("impatient")


def ended_by_another_version(port: int, process: subprocess.Popen[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(b"0009host:kill")
        line.recv(4)


def killed(port: int, process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@pytest.mark.parametrize("end", [ended_by_another_version, killed])
@pytest.mark.parametrize("moment", [EXPORTING, *MOMENTS.values()])
def test_an_adb_server_that_ended_is_started_again(tmp_path, monkeypatch, tally, moment, end):
    tally.injected += 1
    with contextlib.ExitStack() as stack:
        port, process = stack.enter_context(adb_process(tmp_path))
        stack.callback(subprocess.run, [adbutils.adb_path(), "-P", str(port), "kill-server"])
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        server = Server("127.0.0.1", port)
        roots = [Root(tmp_path / name, name) for name in ("ONE", "TWO")]
        for root in roots:
            adbd = Adbd(root)
            stack.callback(adbd.power_off)
            server.connect(adbd.address)
        order = lab.order(tmp_path, VARIANTS, patience=5, budget=lab.Budget(rounds=2))
        struck = threading.Event()

        def watch(event: Event) -> None:
            if event.sentence.startswith(moment) and not struck.is_set():
                struck.set()
                end(port, process)

        outcomes = in_time(tally, lambda: lab.collect(order, server, watch))
        assert struck.is_set()
        assert [each.status for each in outcomes] == ["stored"] * 4
        tally.check(order, outcomes, "a server that ended")
        tally.clean("a server that ended", *roots)
