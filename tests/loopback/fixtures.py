"""Fixtures: a server of the tests' own, and phones of both kinds behind it.

A test module imports the ones it uses. No test can reach the server of whoever runs it: the
port in the environment is the private one's too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mobileopt.adb import Phone, Server
from tests.loopback import sandbox
from tests.loopback.adbd import Adbd
from tests.loopback.connected import Connected
from tests.loopback.root import Root
from tests.loopback.server import adb_server


@pytest.fixture(scope="session")
def private_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with adb_server(tmp_path_factory.mktemp("adb")) as port:
        yield port


@pytest.fixture
def server(private_port: int, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(private_port))
    return Server("127.0.0.1", private_port)


@pytest.fixture
def plug(server: Server, tmp_path: Path) -> Iterator[Callable[..., Connected]]:
    """Connect a phone that can fail at an exact byte; unplugged when the test ends."""
    plugged: list[Adbd] = []

    def connect(serial: str = "PHONE1", root: Root | None = None, **properties: str) -> Connected:
        folder = tmp_path / f"phone{len(plugged)}"
        root = root or Root(folder, serial, **properties)
        adbd = Adbd(root)
        plugged.append(adbd)
        return Connected(adbd, root, server.connect(adbd.address))

    yield connect
    client = server.client()
    for adbd in plugged:
        adbd.power_off()
        client.within(
            5, adbd.address, "disconnecting", lambda at=adbd.address: client.disconnect(at)
        )


@pytest.fixture
def connected(plug: Callable[..., Connected]) -> Connected:
    return plug()


@pytest.fixture
def real_phone(server: Server, tmp_path: Path) -> Iterator[tuple[sandbox.Sandbox, Phone]]:
    """A phone with a real adbd, mksh and toybox."""
    if reason := sandbox.missing():
        pytest.skip(f"no real adbd here: {reason}")
    box = sandbox.Sandbox(Root(tmp_path / "real", "REAL1"))
    try:
        yield box, server.connect(box.address)
    finally:
        box.power_off()
        client = server.client()
        client.within(5, box.address, "disconnecting", lambda: client.disconnect(box.address))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.ptl"
    path.write_bytes(bytes(range(256)) * 2000)
    return path
