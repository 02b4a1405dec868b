"""A campaign of faults: each at its moment, on one of two phones that are being measured.

What must hold whatever happens: a named error in the record, the other phone goes on, no good
result is lost, the store is whole, nothing hangs, and the phone is left as it was found.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import adbutils
import pytest

from mobileopt.adb import Phone, Server, files, fleet
from mobileopt.adb.claim import claimed
from mobileopt.collection import Collection, Event, Order, Outcome, traces
from mobileopt.collection.programs import given
from mobileopt.device import Device
from mobileopt.errors import ConnectionLostError, DeadlineError
from mobileopt.store import Store
from tests.collection import lab
from tests.collection.campaign import Tally
from tests.loopback.adbd import Adbd
from tests.loopback.connected import Connected
from tests.loopback.root import Root
from tests.loopback.server import adb_process
from tests.loopback.wire import Fault

pytest_plugins = ["tests.loopback.fixtures"]

VARIANTS = lab.VARIANTS[:2]
FIRST, SECOND = map(str, VARIANTS)
HANG = 60.0
"""Seconds a case may take on a busy machine; one takes about two."""

LOST = "ConnectionLostError"


Inject = Callable[[Connected], None]


def byte(kind: str, after: int = 0) -> Inject:
    """A fault of the phone's own adbd, at an exact byte."""

    def inject(phone: Connected) -> None:
        phone.adbd.fault = Fault(kind, after)

    return inject


def unplug(after: int) -> Inject:
    """Gone for good after so many bytes of a file or of a command's output."""

    def inject(phone: Connected) -> None:
        phone.adbd._listener.shutdown(socket.SHUT_RDWR)
        phone.adbd._listener.close()
        phone.adbd.fault = Fault("die", after)

    return inject


def becomes(kind: str) -> Inject:
    """Offline or unauthorized from now on."""

    def inject(phone: Connected) -> None:
        phone.adbd.fault = Fault(kind)
        phone.adbd.die()

    return inject


def reboot(phone: Connected) -> None:
    """Gone, and back a second later with a new boot and without the mode it was in."""
    phone.adbd.power_off()
    phone.root.write("proc/sys/kernel/random/boot_id", "another")
    phone.root.write("proc/uptime", "1.00 1.00\n")
    phone.root.write("state/fixed_performance", "false\n")
    threading.Timer(1.0, phone.adbd.power_on).start()


def freeze(phone: Connected) -> None:
    phone.adbd.freeze()


def blink(phone: Connected) -> None:
    """Frozen in the middle of a command, and back a moment after that was given up."""
    phone.adbd.fault = Fault("stall", 60)
    threading.Timer(4.0, phone.adbd.thaw).start()


def swap(phone: Connected) -> None:
    """Gone, and another phone answers at its address."""
    phone.adbd.power_off()
    phone.root.set_properties(**{"ro.serialno": "ANOTHER"})
    phone.adbd.power_on()


def full(phone: Connected) -> None:
    phone.root.tool("df", 'echo "Filesystem 1K-blocks Used Available Use% Mounted on"\n'
                    'echo "/dev/x 100 100 0 100% /data"')  # fmt: skip


def sealed(phone: Connected) -> None:
    """The whole folder is read-only, as a phone whose /data was mounted so."""
    for tool in ("mkdir", "rm"):
        phone.root.tool(tool, f'echo "{tool}: Read-only file system" >&2; exit 1')
    phone.root.tool("sh", 'case "$*" in *"set -C"*) exit 1;; esac\nexec /bin/sh "$@"')


def knob(text: str, size: str = "1000") -> Inject:
    """Something wrong with the program or with the model of one size: the first variant's."""

    def inject(phone: Connected) -> None:
        lab.knobs(phone.root, text, size)

    return inject


@dataclass(frozen=True)
class Case:
    """A fault, when it strikes, and what becomes of the two variants: errors, or statuses.

    `second` is the second variant's, when it is another than the first's. `gone`: nobody can
    reach the phone until it is healed.
    """

    name: str
    moment: str
    inject: Inject
    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    gone: bool = False


EXPORTING, WARMING, ROUND, LATER = "mlp: exporting", f"{FIRST}: warm-up", "round 1 ", "round 2 "
MOMENTS = {"in warm-up": WARMING, "in round 1": ROUND, "in round 2": LATER}
ANYTIME = ("stored", LOST, "DeadlineError", "TransferError")
OWN = ("stored",)

PHONES = [
    Case("unplugged as it begins", EXPORTING, unplug(0), (LOST,), gone=True),
    Case("unplugged in mid-push", EXPORTING, unplug(500), (LOST, "DeadlineError"), gone=True),
    Case("unplugged in warm-up", WARMING, unplug(60), (LOST,), gone=True),
    Case("unplugged in mid-run", ROUND, unplug(60), (LOST,), gone=True),
    Case("unplugged in the last round", LATER, unplug(60), (LOST,), gone=True),
    Case("unplugged reading its state", LATER, unplug(4000), (LOST,), gone=True),
    Case("cable loose in mid-push", EXPORTING, byte("die", 500), ("stored",)),
    Case("cable loose in mid-run", ROUND, byte("die", 60), ("stored",)),
    Case("cable loose in the last round", LATER, byte("die", 60), ("stored",)),
    Case("cable loose reading its state", LATER, byte("die", 4000), ("stored",)),
    Case("frozen before the push", EXPORTING, freeze, (LOST,), gone=True),
    Case("frozen in mid-push", EXPORTING, byte("stall", 500), (LOST,), gone=True),
    Case("frozen in mid-run", ROUND, byte("stall", 60), (LOST,), gone=True),
    Case("frozen for a moment in mid-run", ROUND, blink, ("stored",)),
    Case("rebooting before the push", EXPORTING, reboot, ("stored",)),
    Case("rebooting in warm-up", WARMING, reboot, ("stored",)),
    Case("rebooting in a round", ROUND, reboot, ("stored",)),
    Case("offline before the push", EXPORTING, becomes("offline"), (LOST,), gone=True),
    Case("offline in a round", ROUND, becomes("offline"), (LOST,), gone=True),
    Case("unauthorized at first", EXPORTING, becomes("unauthorized"), ("AccessError",), gone=True),
    Case("unauthorized in a round", ROUND, becomes("unauthorized"), ("AccessError",), gone=True),
    Case("every service refused", ROUND, byte("refuse"), ("AccessError",), gone=True),
    Case("another phone in its place", ROUND, swap, ("AccessError",), gone=True),
    Case("a broken message", ROUND, byte("bad_magic"), ANYTIME, gone=True),
    Case("no exit code", ROUND, byte("no_exit"), ANYTIME, gone=True),
    Case("a shell dying in mid-run", ROUND, byte("shell_death", 60), ANYTIME, gone=True),
    Case("no space before the push", EXPORTING, full, ("StorageError",)),
    Case("no space in mid-push", EXPORTING, byte("no_space", 500), ("StorageError",)),
    Case("read-only in mid-push", EXPORTING, byte("read_only", 0), ("StorageError",)),
    Case("read-only from the start", "", sealed, ("StorageError",)),
    Case("a push cut short unseen", EXPORTING, byte("truncate", 500), ("TransferError",)),
]

PROGRAMS = {
    "libraries missing": ("library", "ProgramError.missing_library"),
    "another processor's": ("abi", "ProgramError.wrong_abi"),
    "a truncated model": ("truncated", "ProgramError.damaged_model"),
    "a newer model": ("newer", "ProgramError.newer_model"),
    "an abort": ("abort", "ProgramError.aborted"),
    "a program that hangs": ("slow", "ProgramError.timed_out"),
    "garbage": ("garbage", "MeasurementError"),
    "inf": ("inf", "MeasurementError"),
    "a line too few": ("few", "MeasurementError"),
    "a line too many": ("many", "MeasurementError"),
    "no summary line": ("silent", "MeasurementError"),
    "a crash after the result": ("crash", "present"),  # suspect: the good one from before stays
}

CASES = [
    *PHONES,
    *(
        Case(f"{name} {when}", moment, knob(f"fault={fault}"), (error,), OWN)
        for name, (fault, error) in PROGRAMS.items()
        for when, moment in MOMENTS.items()
    ),
]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr("mobileopt.adb.phone.GRACE", 0.3)
    monkeypatch.setattr("mobileopt.adb.phone.DEADLINE", 3.0)


@dataclass
class Field:
    """Two phones, an order, and good results from before for both."""

    victim: Connected
    witness: Connected
    order: Order
    names: tuple[str, str]


@pytest.fixture
def ground(server, plug, tmp_path) -> Field:
    victim, witness = plug("VICTIM"), plug("WITNESS")
    order = lab.order(
        tmp_path, VARIANTS, redo=True, deadline=2, patience=2.5, budget=lab.Budget(rounds=2)
    )
    names = tuple(Device(serial, model="Pixel 8").name for serial in ("VICTIM", "WITNESS"))
    before = [lab.old_result(order, name, each) for name in names for each in VARIANTS]
    Store(order.store).add(*before)
    return Field(victim, witness, order, (names[0], names[1]))


def strike(
    ground: Field, server: Any, tally: Tally, moment: str, deed: Callable[[], None]
) -> list[Outcome]:
    """Collect on both phones; `deed` is done when the victim comes to `moment`, or at once."""
    tally.injected += 1
    done = threading.Event()

    def watch(event: Event) -> None:
        now = event.device == ground.names[0] and event.sentence.startswith(moment or "\0")
        if now and not done.is_set():
            done.set()
            deed()

    if not moment:
        deed()
    outcomes = in_time(tally, lambda: lab.collect(ground.order, server, watch))
    assert done.is_set() or not moment, "the fault never struck"
    return outcomes


def in_time(tally: Tally, deed: Callable[[], Iterable[Outcome]]) -> list[Outcome]:
    """The outcomes of a collection, which is to end."""
    outcomes: list[Outcome] = []
    run = threading.Thread(target=lambda: outcomes.extend(deed()), daemon=True)
    run.start()
    run.join(HANG)
    tally.hung += ["it"] * run.is_alive()
    assert not run.is_alive(), "it hung"
    return outcomes


def check(ground: Field, tally: Tally, outcomes: list[Outcome], what: str) -> None:
    """Nothing lost, replaced or damaged, and a record of each run."""
    tally.check(ground.order, outcomes, what)
    assert {(each.device, each.variant) for each in outcomes} == {
        (name, str(each)) for name in ground.names for each in VARIANTS
    }
    recorded = [each for each in Store(ground.order.store).runs() if each["kind"] == "run"]
    assert len(recorded) >= 8  # those from before, and those of this time


def heal(ground: Field, server: Any) -> None:
    """Whatever was wrong with the victim is so no more."""
    victim = ground.victim
    victim.adbd.fault = None
    victim.root.set_properties(**{"ro.serialno": "VICTIM"})
    victim.adbd.thaw()
    victim.adbd.die()
    if victim.adbd._listener.fileno() < 0:
        victim.adbd.power_on()
    for tool in ("df", "mkdir", "rm", "sh"):
        (victim.root.folder / "system/bin" / tool).unlink(missing_ok=True)
    for each in (victim.root.folder / "data/local/tmp/mobileopt/bin").glob("*/*.d"):
        for path in each.iterdir():
            path.unlink()
        each.rmdir()
    server.connect(victim.adbd.address)


def restored(ground: Field, server: Any, tally: Tally, what: str) -> None:
    """The next start leaves nothing on the phone, though it has nothing to measure; and it can."""
    heal(ground, server)
    again = lab.collect(replace(ground.order, redo=False), server)
    assert {each.status for each in again} == {"present"}
    tally.clean(what, ground.victim.root, ground.witness.root)
    measured = lab.collect(replace(ground.order, variants=VARIANTS[:1]), server)
    assert {each.status for each in measured} == {"stored"}
    tally.clean(what, ground.victim.root, ground.witness.root)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_named_and_costs_nothing_else(ground, server, tally, case):
    outcomes = strike(ground, server, tally, case.moment, lambda: case.inject(ground.victim))
    tally.clean(case.name, ground.witness.root, *([] if case.gone else [ground.victim.root]))
    of_victim = {each.variant: each for each in outcomes if each.device == ground.names[0]}
    of_witness = [each for each in outcomes if each.device == ground.names[1]]
    assert [each.status for each in of_witness] == ["stored", "stored"], of_witness
    assert (of_victim[FIRST].error or of_victim[FIRST].status) in case.first
    other = of_victim[SECOND]
    assert (other.error or other.status) in (case.second or case.first)
    assert all(each.reason for each in of_victim.values() if each.status == "failed")
    check(ground, tally, outcomes, case.name)
    if case.gone:
        restored(ground, server, tally, case.name)


def test_a_program_for_another_processor_is_told_before_anything_is_pushed(
    ground, server, tally, tmp_path
):
    elf = tmp_path / "x86"
    elf.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(44))
    right, wrong = ground.order.programs, (given(str(elf)),)
    ground.order = replace(
        ground.order,
        programs=(),
        cached=lambda device: wrong if device.name == ground.names[0] else right,
    )
    outcomes = strike(ground, server, tally, "", lambda: None)
    failed = [each.error for each in outcomes if each.device == ground.names[0]]
    assert failed == ["AbiError", "AbiError"]
    assert [each.status for each in outcomes if each.device == ground.names[1]] == ["stored"] * 2
    assert not (ground.victim.root.folder / "data/local/tmp/mobileopt").exists()
    check(ground, tally, outcomes, "another processor")


def test_no_program_at_all_is_told_with_what_to_do(ground, server, tally):
    ground.order = replace(ground.order, programs=())
    outcomes = strike(ground, server, tally, "", lambda: None)
    assert {each.error for each in outcomes} == {"AbiError"}
    assert "python -m tools.build" in outcomes[0].reason
    check(ground, tally, outcomes, "no program")


def test_two_collectors_on_one_phone_are_one_too_many(ground, server, tally):
    def hold(phone: Phone) -> Any:
        return claimed(phone, ground.names[0], ground.order.locks)

    with hold(server.connect(ground.victim.adbd.address)):
        outcomes = strike(ground, server, tally, "", lambda: None)
    failed = [each for each in outcomes if each.device == ground.names[0]]
    assert [each.error for each in failed] == ["NotReadyError", "NotReadyError"]
    assert "is being measured by process" in failed[0].reason
    assert "since 0 s" in failed[0].reason or "since 1 s" in failed[0].reason
    assert [each.status for each in outcomes if each.device == ground.names[1]] == ["stored"] * 2
    check(ground, tally, outcomes, "two collectors")
    restored(ground, server, tally, "two collectors")


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_second_collector_that_comes_later_disturbs_nothing(ground, server, tally, moment):
    late: list[Outcome] = []

    def come() -> None:
        found = [e for e in fleet.find(server) if e.device and e.device.name == ground.names[0]]
        late.extend(Collection(ground.order).run([(e.device, e.phone) for e in found]))

    outcomes = strike(ground, server, tally, moment, come)
    assert [each.error for each in late] == ["NotReadyError", "NotReadyError"]
    assert {each.status for each in outcomes} == {"stored"}
    check(ground, tally, outcomes, "a second collector")
    tally.clean("a second collector", ground.victim.root, ground.witness.root)


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


@pytest.mark.parametrize("kind", ["die", "stall"])
def test_a_phone_lost_in_mid_pull_leaves_no_part_here(ground, server, tally, tmp_path, kind):
    outcomes = strike(ground, server, tally, "", lambda: None)
    (program,) = ground.victim.root.path(traces.PROGRAMS).glob("*/speed_benchmark_torch")
    remote = f"{traces.PROGRAMS}/{program.parent.name}/{program.name}"
    ground.victim.adbd.fault = Fault(kind, 500)
    with pytest.raises((ConnectionLostError, DeadlineError)):
        files.pull(ground.victim.phone, remote, tmp_path / "pulled", deadline=2)
    assert not list(tmp_path.glob("pulled*"))
    check(ground, tally, outcomes, "mid-pull")
    restored(ground, server, tally, "mid-pull")


def test_a_claim_of_another_computer_is_respected_until_it_is_stale(ground, server, tally):
    claim = "data/local/tmp/mobileopt/owner"
    ground.victim.root.write(claim, "another-lab 77 123")
    outcomes = strike(ground, server, tally, "", lambda: None)
    failed = [each for each in outcomes if each.device == ground.names[0]]
    assert "process 77 of 'another-lab'" in failed[0].reason
    path = ground.victim.root.folder / claim
    old = time.time() - 7200
    os.utime(path, (old, old))
    check(ground, tally, outcomes, "another computer")
    restored(ground, server, tally, "another computer")


@pytest.mark.parametrize(
    "name",
    ["two words", "quo'te", 'dou"ble', "semi; touch owned", "$(touch owned)", "../../up", "`id`"],
)
def test_a_hostile_serial_and_hostile_paths_are_only_names(server, plug, tally, tmp_path, name):
    tally.injected += 1
    phone = plug(f"serial {name}")
    folder = tmp_path / name.replace("/", "_")
    folder.mkdir()
    order = lab.order(folder, VARIANTS, budget=lab.Budget(rounds=1))
    outcomes = in_time(tally, lambda: lab.collect(order, server))
    assert [each.status for each in outcomes] == ["stored"] * 2
    tally.check(order, outcomes, name)
    tally.clean(name, phone.root)
    assert not list(tmp_path.rglob("owned"))
    assert not Path("owned").exists()


def test_a_serial_with_a_line_break_is_no_serial(server, plug, tally):
    tally.injected += 1
    plug("line\nbreak")
    (found,) = fleet.find(server)
    assert found.phone is None
    assert "ro.serialno" in found.problem
