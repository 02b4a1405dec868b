from __future__ import annotations

import json
import socket

import pytest

from mobileopt.adb import claim, performance, probe
from tests.loopback.server import free_port
from tests.loopback.wire import Fault
from tools.devices import main

pytest_plugins = ["tests.loopback.fixtures"]


@pytest.fixture
def run(server, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def command(*arguments: str) -> tuple[int, str, str]:
        code = main(["--server", f"127.0.0.1:{server.port}", *arguments])
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


def test_a_phone_that_cannot_be_reached_is_a_row_beside_the_others(run, plug):
    plug("ON")
    off = f"127.0.0.1:{free_port()}"
    code, out, _ = run("--connect", off, "--json")
    first, second = json.loads(out)
    assert code == 1
    assert first["usable"]
    assert second["transports"][0]["serial"] == off
    assert "nobody can be reached" in second["reasons"][0]


def test_a_phone_that_another_collector_holds_may_not_be_measured(run, connected, tmp_path):
    name = probe.describe(connected.phone).name
    with claim.claimed(connected.phone, name, tmp_path / "locks"):
        connected.phone.check(["sh", "-c", 'printf %s "$1" > "$2"', "sh", "lab-9 7 1", claim.CLAIM])
        code, out, _ = run("--json")
        (record,) = json.loads(out)
    assert code == 1
    assert "is being measured by process 7 of 'lab-9'" in record["held"]
    assert record["reasons"] == [record["held"]]
    assert run()[0] == 0


def test_a_claim_of_a_process_that_is_gone_holds_nobody_off(run, connected):
    text = f"{socket.gethostname()} 999999999 1"
    connected.root.write(claim.CLAIM, text)
    assert run()[0] == 0
    assert connected.root.read(claim.CLAIM) == text


def test_screen_battery_saver_and_fixed_performance_are_shown(run, connected):
    out = run()[1]
    assert "screen off, battery saver off" in out
    assert "fixed-performance" not in out
    connected.root.write("state/dumpsys.power", "  mWakefulness=Awake\n")
    connected.root.write("state/settings.global.low_power", "1\n")
    connected.root.write(performance.MARK, "lab-9 7 1")
    code, out, _ = run()
    assert "screen on, battery saver on" in out
    assert "in fixed-performance mode, left by a killed run" in out
    assert code == 1  # for the battery saver
    assert json.loads(run("--json")[1])[0]["fixed_performance"] is True


@pytest.mark.parametrize("text", ["lab-3", ":", "lab-3:", "lab-3:x", "lab-3:0x10", "a b:5037"])
def test_what_is_no_server_is_one_sentence(text, capsys):
    assert main(["--server", text]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_bad_address_is_one_sentence_and_code_2(run):
    code, out, err = run("--connect", "x; reboot")
    assert (code, out) == (2, "")
    assert "is not an address" in err
    assert "Traceback" not in err


def test_an_absent_remote_server_is_code_2(capsys, monkeypatch):
    monkeypatch.setattr("mobileopt.adb.client.LOCAL", ())
    assert main(["--server", f"127.0.0.1:{free_port()}"]) == 2
    assert "no adb server answers" in capsys.readouterr().err


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m tools.devices --json" in capsys.readouterr().out
