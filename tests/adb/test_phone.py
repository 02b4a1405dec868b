from __future__ import annotations

import os
import subprocess
import threading
from types import SimpleNamespace

import pytest

from mobileopt.adb import WORK, Transport, again
from mobileopt.errors import (
    AccessError,
    ConnectionLostError,
    DeadlineError,
    InputError,
    ProgramError,
    StorageError,
)
from tests.loopback.common import HOSTILE, state_of, until
from tests.loopback.wire import Fault

pytest_plugins = ["tests.loopback.fixtures"]


def test_a_command_has_its_output_streams_apart_and_its_exit_code(connected):
    result = connected.phone.shell(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (result.stdout, result.stderr, result.code) == ("out\n", "err\n", 7)


def test_a_command_that_a_signal_ended_has_128_and_the_signal(connected):
    assert connected.phone.shell(["sh", "-c", "kill -ABRT $$"]).code == 134


def test_a_command_that_does_not_exist_is_127(connected):
    result = connected.phone.shell(["no-such-program"])
    assert result.code == 127
    assert "not found" in result.stderr


@pytest.mark.parametrize("word", HOSTILE)
def test_a_hostile_word_arrives_as_it_is_and_runs_nothing(connected, word):
    result = connected.phone.shell(["printf", "%s|", word, "end"])
    assert result.stdout == f"{word}|end|"
    assert not (connected.root.folder / "data/local/tmp/owned").exists()


@pytest.mark.parametrize("word", HOSTILE)
def test_a_hostile_word_reaches_a_script_as_an_argument_only(connected, word):
    assert connected.phone.script('printf "%s" "$1"', word).stdout == word


@pytest.mark.parametrize("argv", [[], ["a\0b"], ["echo", "\udcff"], ["echo", "'" * 20000]])
def test_a_command_that_cannot_be_sent_is_refused_before_it_is(connected, argv):
    with pytest.raises(InputError):
        connected.phone.shell(argv)


def test_check_turns_a_failed_command_into_an_error_with_what_it_said(connected):
    with pytest.raises(ProgramError, match="No such file") as caught:
        connected.phone.check(["cat", "/data/local/tmp/none"])
    assert caught.value.fault == "command_failed"


def test_a_command_that_runs_too_long_is_killed_on_the_phone(connected, tmp_path):
    script = 'echo $$ > "$1"; exec sleep 60'
    with pytest.raises(ProgramError, match="longer than 1 s") as caught:
        connected.phone.script(script, f"{WORK}/pid", deadline=1)
    assert caught.value.fault == "timed_out"
    pid = int(connected.root.read("data/local/tmp/pid"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_chatty_command_does_not_outlive_its_deadline(connected):
    with pytest.raises(ProgramError, match="longer"):
        connected.phone.shell(["sh", "-c", "while sleep 0.1; do echo still here; done"], 1)


def test_a_command_that_never_stops_printing_is_cut_off(connected, monkeypatch):
    monkeypatch.setattr("mobileopt.adb.client.OUTPUT_LIMIT", 1 << 16)
    with pytest.raises(ProgramError, match="'yes' printed more than"):
        connected.phone.shell(["yes"], 20)


def test_a_command_leaves_no_guard_behind(connected):
    connected.phone.shell(["true"], deadline=4321)
    left = subprocess.run(["pgrep", "-f", "sleep 4321"], capture_output=True, check=False)
    assert left.stdout == b""


@pytest.mark.parametrize("kind", ["die", "shell_death"])
def test_a_phone_lost_in_mid_output_is_no_partial_result(connected, kind):
    connected.adbd.fault = Fault(kind, after=5)
    with pytest.raises(ConnectionLostError):
        connected.phone.shell(["echo", "a long answer"])


def test_output_without_an_exit_code_is_no_result(connected):
    connected.adbd.fault = Fault("no_exit")
    with pytest.raises(ConnectionLostError):
        connected.phone.shell(["echo", "all of it"])


def test_a_silent_phone_runs_into_the_deadline(connected, monkeypatch):
    monkeypatch.setattr("mobileopt.adb.phone.GRACE", 0.2)
    connected.adbd.freeze()
    with pytest.raises(DeadlineError, match=r"within 1\.2 s"):
        connected.phone.shell(["true"], 1)


def test_a_phone_that_froze_is_usable_once_it_thaws(connected, monkeypatch):
    monkeypatch.setattr("mobileopt.adb.phone.GRACE", 0.2)
    connected.adbd.freeze()
    with pytest.raises(DeadlineError):
        connected.phone.shell(["true"], 1)
    connected.adbd.thaw()
    connected.phone.reconnect(20)
    assert connected.phone.shell(["echo", "back"]).stdout == "back\n"


def test_a_refused_service_is_no_lost_connection(connected):
    connected.adbd.fault = Fault("refuse")
    with pytest.raises(AccessError, match="refuses"):
        connected.phone.shell(["true"])


def test_a_broken_message_is_a_transport_fault(connected):
    connected.adbd.fault = Fault("bad_magic")
    with pytest.raises((ConnectionLostError, DeadlineError)):
        connected.phone.shell(["true"], 2)


def test_an_unauthorized_phone_is_named_as_such(connected, server):
    connected.adbd.fault = Fault("unauthorized")
    connected.adbd.die()
    until(lambda: state_of(server, connected) == "unauthorized")
    with pytest.raises(AccessError, match="authoriz"):
        connected.phone.shell(["true"])


def test_an_offline_phone_is_named_as_such(connected, server):
    connected.adbd.fault = Fault("offline")
    connected.adbd.die()
    until(lambda: state_of(server, connected) == "offline")
    with pytest.raises(ConnectionLostError, match=r"offline|went away"):
        connected.phone.shell(["true"])


def test_a_phone_that_lost_power_comes_back(connected):
    connected.adbd.power_off()
    with pytest.raises(ConnectionLostError):
        connected.phone.shell(["true"])
    connected.adbd.power_on()
    connected.phone.reconnect(20)
    assert connected.phone.shell(["echo", "back"]).stdout == "back\n"


def test_a_phone_that_stays_away_is_given_up(connected):
    connected.adbd.power_off()
    with pytest.raises(ConnectionLostError, match="did not come back within 1 s"):
        connected.phone.reconnect(1)


def test_nobody_waits_for_a_phone_after_an_interrupt(connected):
    connected.adbd.power_off()
    outcome: list[str] = []

    def wait() -> None:
        with pytest.raises(ConnectionLostError) as caught:
            connected.phone.reconnect(600)
        outcome.append(str(caught.value))

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    connected.phone.interrupt()
    waiting.join(30)
    assert "everything was to stop" in outcome[0]


def test_nothing_is_tried_again_after_an_interrupt(connected):
    tries: list[int] = []

    def deed() -> None:
        tries.append(1)
        connected.phone.interrupt()
        raise ConnectionLostError("cut")

    with pytest.raises(ConnectionLostError):
        again(connected.phone, deed)
    assert len(tries) == 1


def test_another_phone_at_the_same_address_is_refused_from_then_on(connected):
    connected.phone.expect("PHONE1")
    connected.adbd.power_off()
    connected.root.set_properties(**{"ro.serialno": "OTHER"})
    connected.adbd.power_on()
    with pytest.raises(AccessError, match="is another phone now"):
        connected.phone.reconnect(20)
    with pytest.raises(AccessError, match="is another phone now"):
        connected.phone.shell(["touch", f"{WORK}/owned"])
    assert not (connected.root.folder / "data/local/tmp/owned").exists()


def test_a_phone_that_does_not_tell_its_serial_yet_is_waited_for(connected):
    connected.phone.expect("PHONE1")
    connected.root.set_properties(**{"ro.serialno": ""})
    timer = threading.Timer(0.7, lambda: connected.root.set_properties(**{"ro.serialno": "PHONE1"}))
    timer.start()
    connected.phone.reconnect(20)
    assert connected.phone.verify()


@pytest.mark.parametrize(
    ("serial", "tags", "dialled"),
    [
        ("10.0.0.1:5555", {}, True),
        ("10.0.0.1:5555", {"usb": "1-2"}, False),
        ("PHONE1", {}, False),
    ],
)
def test_only_what_came_from_a_connect_is_dialled(serial, tags, dialled):
    info = SimpleNamespace(serial=serial, state="device", transport_id=3, tags=tags)
    assert Transport.listed(info) == Transport(serial, "device", 3, dialled)


def test_a_phone_on_a_cable_is_never_dialled(connected, server, monkeypatch):
    asked: list[str] = []
    connected.phone.transport = Transport("10.0.0.1:5555", "device", 99)
    monkeypatch.setattr(connected.phone._client, "connect", asked.append)
    with pytest.raises(ConnectionLostError):
        connected.phone.reconnect(0.5)
    assert asked == []


def test_what_comes_after_a_script_gets_its_arguments_and_leaves_its_exit_code(connected):
    result = connected.phone.script('echo "$1"; exit 7', "a b", after='echo "after $1"')
    assert (result.stdout, result.code) == ("a b\nafter a b\n", 7)


def test_what_comes_after_a_script_runs_when_it_was_killed(connected):
    result = connected.phone.script("kill -SEGV $$", "x", after='echo "after $1"')
    assert (result.stdout, result.code) == ("after x\n", 139)


def test_a_transient_fault_is_tried_again_after_reconnecting(connected):
    connected.adbd.fault = Fault("die", after=3)
    result = again(connected.phone, lambda: connected.phone.shell(["echo", "once more"]))
    assert result.stdout == "once more\n"


def test_a_permanent_fault_is_not_tried_again(connected):
    tries: list[int] = []

    def deed() -> None:
        tries.append(1)
        raise StorageError("full")

    with pytest.raises(StorageError):
        again(connected.phone, deed)
    assert len(tries) == 1
