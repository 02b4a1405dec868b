from __future__ import annotations

import json

import pytest

from tests.loopback.server import free_port
from tests.loopback.wire import Fault
from tools.devices import main

pytest_plugins = ["tests.loopback.fixtures"]


@pytest.fixture
def run(server, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["--port", str(server.port), *arguments])
        return code, *capsys.readouterr()

    return command


def test_nothing_connected_is_a_code_and_a_hint_of_its_own(run):
    code, out, err = run()
    assert (code, out) == (3, "")
    assert "No device is connected" in err


def test_a_calm_phone_may_be_measured(run, connected):
    code, out, _ = run()
    assert code == 0
    for expected in ("Google Pixel 8", "Android 14", "serial PHONE1", "battery 85%", "yes"):
        assert expected in out


def test_a_hot_phone_may_not_and_says_why(run, connected):
    connected.root.thermal(status=3)
    code, out, _ = run()
    assert code == 1
    assert "its thermal status is 3" in out


def test_two_phones_are_two_rows_and_one_of_them_is_enough_to_fail(run, plug):
    plug("FIRST")
    plug("SECOND").root.battery(level=5)
    code, out, _ = run("--json")
    records = json.loads(out)
    assert code == 1
    usable = {record["device"]["serial"]: record["usable"] for record in records}
    assert usable == {"FIRST": True, "SECOND": False}


def test_an_unauthorized_phone_is_listed_with_what_to_do(run, connected, server):
    connected.adbd.fault = Fault("unauthorized")
    connected.adbd.die()
    while server.transports()[0].state != "unauthorized":
        pass
    code, out, _ = run("--json")
    assert code == 1
    assert "accept it on its screen" in json.loads(out)[0]["reasons"][0]


def test_hostile_names_neither_steer_the_terminal_nor_mark_it_up(run, plug):
    name = "[bold]Evil[/bold]\x1b[2J\x07"
    plug("A; reboot", **{"ro.product.model": name, "ro.soc.model": "[link=http://x]y"})
    _, out, _ = run()
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]Evil" in out


def test_a_phone_is_connected_on_request(run, plug, server):
    phone = plug()
    client = server.client()
    client.disconnect(phone.adbd.address)
    assert run()[0] == 3
    assert run("--connect", phone.adbd.address)[0] == 0


def test_a_bad_address_is_one_sentence_and_code_2(run):
    code, out, err = run("--connect", "x; reboot")
    assert (code, out) == (2, "")
    assert "is not an address" in err
    assert "Traceback" not in err


def test_an_absent_remote_server_is_code_2(capsys, monkeypatch):
    monkeypatch.setattr("mobileopt.adb.client.LOCAL", ())
    assert main(["--host", "127.0.0.1", "--port", str(free_port())]) == 2
    assert "no adb server answers" in capsys.readouterr().err


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m tools.devices --json" in capsys.readouterr().out
