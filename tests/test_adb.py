from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mobileopt.adb import WORK, Phone, Server, Transport, again, files, fleet, performance, probe
from mobileopt.errors import (
    AbiError,
    AccessError,
    ConnectionLostError,
    DeadlineError,
    InputError,
    NotReadyError,
    OutputError,
    PermanentDeviceError,
    ProgramError,
    ServerError,
    StorageError,
    TransferError,
)
from tests.loopback.connected import Connected
from tests.loopback.server import free_port
from tests.loopback.wire import Fault

pytest_plugins = ["tests.loopback.fixtures"]

TARGET = f"{WORK}/mobileopt/model.ptl"
HOSTILE = [
    "two words",
    "quote's",
    'double"quote',
    "; touch /data/local/tmp/owned",
    "$(touch /data/local/tmp/owned)",
    "`touch /data/local/tmp/owned`",
    "line\nbreak",
    "-rf",
    "*",
    "back\\slash",
    "comma,0644",
    "ünïcode",
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.ptl"
    path.write_bytes(bytes(range(256)) * 2000)
    return path


def leftovers(connected: Connected) -> list[str]:
    folder = connected.root.folder / "data/local/tmp/mobileopt"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# Commands


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
    with pytest.raises(AccessError, match="printed more than"):
        connected.phone.shell(["yes"], 20)


def test_a_command_leaves_no_guard_behind(connected):
    connected.phone.shell(["true"], deadline=4321)
    left = subprocess.run(["pgrep", "-f", "sleep 4321"], capture_output=True, check=False)
    assert left.stdout == b""


# Faults of a phone


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


# Files


def test_a_pushed_file_is_there_whole_with_its_mode(connected, model):
    pushed = files.push(connected.phone, model, TARGET, mode=0o755)
    copy = connected.root.path(TARGET)
    assert copy.read_bytes() == model.read_bytes()
    assert copy.stat().st_mode & 0o777 == 0o755
    assert (pushed.size, pushed.skipped) == (512_000, False)
    assert leftovers(connected) == ["model.ptl"]


def test_a_file_that_is_there_is_not_sent_again(connected, model):
    files.push(connected.phone, model, TARGET)
    sent: list[int] = []
    assert files.push(connected.phone, model, TARGET, progress=sent.append).skipped
    assert sent == []


def test_a_file_of_other_content_is_replaced(connected, model):
    files.push(connected.phone, model, TARGET)
    model.write_bytes(b"another model")
    assert not files.push(connected.phone, model, TARGET).skipped
    assert connected.root.path(TARGET).read_bytes() == b"another model"


def test_progress_tells_every_byte(connected, model):
    told: list[int] = []
    files.push(connected.phone, model, TARGET, progress=told.append)
    assert sum(told) == 512_000


@pytest.mark.parametrize("name", [name for name in HOSTILE if not name.startswith("-")])
def test_a_hostile_file_name_is_only_a_name(connected, model, tmp_path, name):
    remote = f"{WORK}/{name.replace('/', '_')}"
    files.push(connected.phone, model, remote)
    back = files.pull(connected.phone, remote, tmp_path / "back")
    assert back.path.read_bytes() == model.read_bytes()
    assert not (connected.root.folder / "data/local/tmp/owned").exists()


@pytest.mark.parametrize(
    "remote",
    ["model", "/sdcard/model", f"{WORK}/../model", WORK, f"{WORK}/a/../../b", f"{WORK}/a\0"],
)
def test_a_path_that_leaves_the_work_folder_is_refused(connected, model, remote):
    with pytest.raises(InputError):
        files.push(connected.phone, model, remote)
    with pytest.raises(InputError):
        files.remove(connected.phone, remote)


def test_an_unreadable_local_file_is_an_input_error(connected, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        files.push(connected.phone, tmp_path / "none", TARGET)


def test_a_phone_without_room_is_asked_before_anything_is_sent(connected, model):
    connected.root.tool(
        "df",
        'echo "Filesystem 1K-blocks Used Available Use% Mounted on"\n'
        'echo "/dev/block/dm-5 100000 99000 1000 99% /data"',
    )
    with pytest.raises(StorageError, match="0 MiB free"):
        files.push(connected.phone, model, TARGET)
    assert leftovers(connected) == []


@pytest.mark.parametrize("kind", ["no_space", "read_only"])
def test_a_write_that_fails_midway_is_a_storage_error_and_leaves_nothing(connected, model, kind):
    connected.adbd.fault = Fault(kind, after=100_000)
    with pytest.raises(StorageError):
        files.push(connected.phone, model, TARGET)
    assert leftovers(connected) == []


def test_a_silent_truncation_is_found_by_the_hash(connected, model):
    connected.adbd.fault = Fault("truncate", after=100_000)
    with pytest.raises(TransferError, match="100000 of 512000 bytes"):
        files.push(connected.phone, model, TARGET)
    assert leftovers(connected) == []


def test_the_old_file_survives_a_failed_push(connected, model):
    files.push(connected.phone, model, TARGET)
    old = model.read_bytes()
    model.write_bytes(b"x" * 300_000)
    connected.adbd.fault = Fault("truncate", after=1000)
    with pytest.raises(TransferError):
        files.push(connected.phone, model, TARGET)
    assert connected.root.path(TARGET).read_bytes() == old


def test_a_phone_that_dies_in_mid_push_can_be_tried_again(connected, model):
    connected.adbd.fault = Fault("die", after=100_000)
    with pytest.raises(ConnectionLostError):
        files.push(connected.phone, model, TARGET)
    connected.phone.reconnect(20)
    assert files.push(connected.phone, model, TARGET).sha256
    assert leftovers(connected) == ["model.ptl"]


def test_a_phone_that_stalls_in_mid_push_runs_into_the_deadline(connected, model):
    connected.adbd.fault = Fault("stall", after=100_000)
    with pytest.raises(DeadlineError):
        files.push(connected.phone, model, TARGET, deadline=1)
    connected.adbd.thaw()


def test_a_phone_without_sha256sum_has_its_file_read_back(connected, model):
    connected.root.tool("sha256sum", "exit 127")
    files.push(connected.phone, model, TARGET)
    assert files.push(connected.phone, model, TARGET).skipped


def test_pulling_a_missing_file_fails_and_creates_nothing(connected, tmp_path):
    with pytest.raises(StorageError, match="no file"):
        files.pull(connected.phone, f"{WORK}/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_pulling_a_folder_is_refused(connected, tmp_path):
    with pytest.raises(StorageError, match="no regular file"):
        files.pull(connected.phone, WORK, tmp_path / "folder")


def test_a_phone_that_dies_in_mid_pull_leaves_no_file(connected, model, tmp_path):
    files.push(connected.phone, model, TARGET)
    connected.adbd.fault = Fault("die", after=100_000)
    with pytest.raises(ConnectionLostError):
        files.pull(connected.phone, TARGET, tmp_path / "back")
    assert sorted(path.name for path in tmp_path.glob("back*")) == []


def test_pulling_into_a_missing_folder_is_an_output_error(connected, model, tmp_path):
    files.push(connected.phone, model, TARGET)
    with pytest.raises(OutputError):
        files.pull(connected.phone, TARGET, tmp_path / "none" / "back")


# Servers


def test_two_phones_at_once_are_two_devices(plug, server):
    plug("FIRST")
    plug("SECOND")
    found = fleet.find(server)
    assert sorted(each.device.serial for each in found) == ["FIRST", "SECOND"]
    assert all(each.phone for each in found)


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


# State, and holding the clock


def test_a_phone_tells_what_it_is_and_how_it_is(connected):
    device = probe.describe(connected.phone)
    state = probe.state(connected.phone)
    assert (device.serial, device.model, device.abis) == ("PHONE1", "Pixel 8", ("arm64-v8a",))
    assert state.battery.level == 0.85
    assert len(state.cpus) == 8
    assert state.affinity == tuple(range(8))


def test_a_service_that_prints_another_section_does_not_become_one(connected):
    forged = "0\n==0 battery\n  level: 1\n  scale: 100\n"
    connected.root.write("state/settings.global.low_power", forged)
    assert probe.state(connected.phone).battery.level == 0.85


def test_a_program_of_another_processor_is_refused_before_it_is_pushed(connected):
    header = Path(sys.executable).resolve().read_bytes()[:20]
    with pytest.raises(AbiError, match=r"x86_64; pixel_8-.* runs arm64-v8a"):
        probe.require_abi(probe.describe(connected.phone), "speed_benchmark_torch", header)


def test_the_last_words_of_a_crash_are_read_from_the_phones_log(connected):
    connected.root.tool(
        "logcat",
        "echo \"F DEBUG   : Abort message: 'an older one'\"\n"
        "echo \"F DEBUG   : Abort message: 'Check failed: it's empty'\"",
    )
    assert probe.abort_message(connected.phone) == "Check failed: it's empty"


def test_a_phone_without_a_crash_has_no_last_words(connected):
    assert probe.abort_message(connected.phone) == ""


def test_fixed_performance_is_held_and_restored(connected):
    with performance.fixed(connected.phone) as held:
        assert held
        assert connected.root.read("state/fixed_performance") == "true\n"
    assert connected.root.read("state/fixed_performance") == "false\n"
    assert leftovers(connected) == []


def test_fixed_performance_is_restored_after_an_error(connected):
    with pytest.raises(KeyboardInterrupt), performance.fixed(connected.phone):
        raise KeyboardInterrupt
    assert connected.root.read("state/fixed_performance") == "false\n"


def test_a_phone_without_fixed_performance_says_so(connected):
    connected.root.write("state/no_fixed_performance", "")
    with performance.fixed(connected.phone) as held:
        assert not held


def test_fixed_performance_left_by_a_killed_process_is_undone_at_the_next_start(connected, server):
    program = (
        "import sys, time\n"
        "from mobileopt.adb import Server, performance\n"
        "phone = Server(sys.argv[1], int(sys.argv[2])).connect(sys.argv[3])\n"
        "with performance.fixed(phone):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    where = [server.host, str(server.port), connected.adbd.address]
    with subprocess.Popen([sys.executable, "-c", program, *where], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        connected.phone.reconnect(20)
        with (
            pytest.raises(NotReadyError, match=f"process {other.pid}"),
            performance.fixed(connected.phone),
        ):
            pytest.fail("two processes measure on one phone")
        other.send_signal(signal.SIGKILL)
    assert connected.root.read("state/fixed_performance") == "true\n"
    assert performance.restore(connected.phone)
    assert connected.root.read("state/fixed_performance") == "false\n"
    assert not performance.restore(connected.phone)


# The same on a real adbd, with the shell and the tools of a phone


def test_on_a_real_adbd_every_exit_code_arrives(real_phone):
    _, phone = real_phone
    for code in (0, 3, 66, 126, 127):
        assert phone.shell(["sh", "-c", f"exit {code}"]).code == code
    assert phone.shell(["sh", "-c", "kill -SEGV $$"]).code == 139


@pytest.mark.parametrize("name", HOSTILE)
def test_on_a_real_adbd_a_hostile_word_is_only_a_word(real_phone, name):
    box, phone = real_phone
    assert phone.shell(["printf", "%s", name]).stdout == name
    assert not (box.root.folder / "data/local/tmp/owned").exists()


def test_on_a_real_adbd_files_go_and_come_back(real_phone, model, tmp_path):
    box, phone = real_phone
    remote = f"{WORK}/mobileopt/it's $(a) model.ptl"
    assert not files.push(phone, model, remote, mode=0o755).skipped
    assert files.push(phone, model, remote).skipped
    assert files.pull(phone, remote, tmp_path / "back").size == 512_000
    assert files.free(phone) > 0
    files.remove(phone, remote)
    assert not box.root.path(remote).exists()


def test_on_a_real_adbd_a_command_is_killed_in_time(real_phone):
    _, phone = real_phone
    with pytest.raises(ProgramError, match="longer than 1 s"):
        phone.shell(["sleep", "30"], 1)


def test_on_a_real_adbd_the_phone_describes_itself(real_phone):
    _, phone = real_phone
    assert probe.describe(phone).serial == "REAL1"
    state = probe.state(phone, closing=True)
    assert state.affinity == tuple(sorted(os.sched_getaffinity(0)))
    assert state.thermal_status == 0


def test_on_a_real_adbd_a_command_is_kept_on_its_cores(real_phone):
    _, phone = real_phone
    argv = probe.pinned(["grep", "Cpus_allowed_list", "/proc/self/status"], [0])
    assert phone.shell(argv).stdout.split() == ["Cpus_allowed_list:", "0"]


def test_on_a_real_adbd_power_loss_is_survived(real_phone):
    box, phone = real_phone
    box.power_off()
    with pytest.raises((ConnectionLostError, DeadlineError)):
        phone.shell(["true"], 2)
    box.power_on()
    phone.reconnect(20)
    assert phone.shell(["echo", "back"]).stdout == "back\n"


def test_on_a_real_adbd_a_folder_that_cannot_be_made_has_its_reason(real_phone, model):
    box, phone = real_phone
    (box.root.folder / "data/local/tmp/sealed").mkdir()
    (box.root.folder / "data/local/tmp/sealed/model").write_text("")
    with pytest.raises(PermanentDeviceError, match="File exists"):
        files.push(phone, model, f"{WORK}/sealed/model/inside")


def state_of(server: Server, connected: Connected) -> str:
    at = connected.adbd.address
    return next((each.state for each in server.transports() if each.serial == at), "absent")


def until(true, seconds: float = 10.0) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)
