from __future__ import annotations

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mobileopt.adb import Phone, Server, Transport, files, fleet, probe
from mobileopt.errors import (
    ConnectionLostError,
    InputError,
    PermanentDeviceError,
    ServerError,
)
from tests.loopback.common import TARGET
from tests.loopback.server import free_port

pytest_plugins = ["tests.loopback.fixtures"]


def test_two_phones_at_once_are_two_devices(plug, server):
    plug("FIRST")
    plug("SECOND")
    found = fleet.find(server)
    assert sorted(each.device.serial for each in found) == ["FIRST", "SECOND"]
    assert all(each.phone for each in found)


def test_two_phones_are_worked_on_at_the_same_time(plug, model):
    phones = [plug("FIRST").phone, plug("SECOND").phone]
    together = threading.Barrier(2, timeout=20)

    def work(phone: Phone) -> str:
        together.wait()
        files.push(phone, model, TARGET)
        return phone.check(["sha256sum", TARGET]).stdout

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, phones)
    assert first == second


def test_two_transports_to_one_phone_are_one_device(plug, server):
    first = plug("SAME")
    plug(root=first.root)
    (found,) = fleet.find(server)
    assert len(found.transports) == 2
    assert found.device.serial == "SAME"


def test_usb_is_preferred_to_the_network(plug, server, monkeypatch):
    network = plug().phone
    cable = Phone(server.client(), Transport("USB1", "device", network.transport.identifier))
    monkeypatch.setattr(Server, "phones", lambda _: (network, cable))
    (found,) = fleet.find(server)
    assert found.phone is cable


def test_two_phones_with_one_serial_are_both_refused(plug, server):
    plug("0123456789ABCDEF")
    other = plug("0123456789ABCDEF")
    other.root.write("proc/sys/kernel/random/boot_id", "another boot\n")
    found = fleet.find(server)
    assert [each.phone for each in found] == [None, None]
    assert all("same hardware serial" in each.problem for each in found)


def test_two_transports_that_may_be_two_phones_are_both_refused_by_name(plug, server):
    first = plug("0123456789ABCDEF")
    second = plug("0123456789ABCDEF")
    for each in (first, second):
        each.root.remove("proc/sys/kernel/random/boot_id")
    found = fleet.find(server)
    assert [each.phone for each in found] == [None, None]
    for each in found:
        assert first.adbd.address in each.problem
        assert second.adbd.address in each.problem
        assert "do not tell whether they are one phone" in each.problem


def test_a_phone_that_does_not_tell_its_boot_is_usable_when_it_is_alone(plug, server):
    plug("ONE").root.remove("proc/sys/kernel/random/boot_id")
    plug("TWO").root.remove("proc/sys/kernel/random/boot_id")
    assert all(each.phone for each in fleet.find(server))


def test_what_cannot_be_connected_is_told_and_the_others_are(plug, server):
    phone = plug()
    server.client().disconnect(phone.adbd.address)
    off = f"127.0.0.1:{free_port()}"
    told = fleet.connect(server, [off, phone.adbd.address])
    assert list(told) == [off]
    assert [each.serial for each in server.transports()] == [phone.adbd.address]


def test_a_frozen_phone_does_not_keep_the_others_from_being_found(plug, server, monkeypatch):
    monkeypatch.setattr("mobileopt.adb.phone.GRACE", 0.1)
    monkeypatch.setattr("mobileopt.adb.probe.describe.__defaults__", (1.0,))
    plug("GOOD")
    plug("FROZEN").adbd.freeze()
    good, frozen = fleet.find(server)
    assert good.device.serial == "GOOD"
    assert frozen.phone is None
    assert "did not finish" in frozen.problem


def test_a_phone_without_a_hardware_serial_cannot_be_told_apart(plug):
    with pytest.raises(PermanentDeviceError, match=r"ro\.serialno"):
        probe.describe(plug("").phone)


def test_nobody_at_an_address_is_a_lost_connection(server):
    with pytest.raises(ConnectionLostError, match="nobody can be reached"):
        server.connect(f"127.0.0.1:{free_port()}")


@pytest.mark.parametrize("address", ["", "host", "a b:1", "x;reboot:5555", "host:5555\nhost:kill"])
def test_what_is_no_address_is_never_sent(server, address):
    with pytest.raises(InputError):
        server.connect(address)


@pytest.mark.parametrize(("host", "port"), [("a b", 5037), ("h", -1), ("h", 70000), ("a;b", 1)])
def test_a_server_that_cannot_be_is_refused(host, port):
    with pytest.raises(InputError):
        Server(host, port)


def test_the_port_of_the_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "12345")
    assert Server().port == 12345


def test_an_absent_remote_server_is_named_and_no_local_one_started(monkeypatch):
    started: list[object] = []
    monkeypatch.setattr("mobileopt.adb.client.LOCAL", ())
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: started.append(a))
    port = free_port()
    with pytest.raises(ServerError, match=f"127.0.0.1:{port}"):
        Server("127.0.0.1", port).transports()
    assert started == []


def test_an_absent_local_server_is_started_on_its_own_port(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ADB_MDNS", "0")
    monkeypatch.setenv("ADB_LIBUSB", "0")
    monkeypatch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5554")
    own = Server("127.0.0.1", free_port())
    try:
        assert own.transports() == ()
    finally:
        own.client().server_kill()
