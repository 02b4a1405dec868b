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
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import adbutils
import pytest

from mobileopt.adb import Phone, Server
from mobileopt.adb.claim import claimed
from mobileopt.collection import Event, Order, Outcome
from mobileopt.collection.programs import given
from mobileopt.device import Device
from mobileopt.store import Store
from tests.collection import lab
from tests.loopback.adbd import Adbd
from tests.loopback.connected import Connected
from tests.loopback.root import Root
from tests.loopback.server import adb_server
from tests.loopback.wire import Fault

pytest_plugins = ["tests.loopback.fixtures"]

VARIANTS = lab.VARIANTS[:2]
FIRST, SECOND = map(str, VARIANTS)
HANG = 60.0
"""Seconds a case may take on a busy machine; one takes about two."""

LOST = "ConnectionLostError"


@dataclass
class Tally:
    """What the campaign counted."""

    injected: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


TALLY = Tally()

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
    """A fault, when it strikes, and what becomes of the two variants: errors, or `stored`."""

    name: str
    moment: str
    inject: Inject
    first: tuple[str, ...]
    second: tuple[str, ...] = ()
    """The second variant's, when it is another than the first's."""


EXPORTING, WARMING, ROUND = "mlp: exporting", f"{FIRST}: warm-up", "round 1 "
ANYTIME = ("stored", LOST, "DeadlineError", "TransferError")
OWN = ("stored",)

CASES = [
    Case("unplugged as it begins", EXPORTING, unplug(0), (LOST,)),
    Case("unplugged in mid-push", EXPORTING, unplug(500), (LOST, "DeadlineError")),
    Case("unplugged in warm-up", WARMING, unplug(60), (LOST,)),
    Case("unplugged in mid-run", ROUND, unplug(60), (LOST,)),
    Case("unplugged reading its state", ROUND, unplug(1500), (LOST,)),
    Case("cable loose in mid-push", EXPORTING, byte("die", 500), ("stored",)),
    Case("cable loose in mid-run", ROUND, byte("die", 60), ("stored",)),
    Case("cable loose reading its state", ROUND, byte("die", 1500), ("stored",)),
    Case("frozen before the push", EXPORTING, freeze, (LOST,)),
    Case("frozen in mid-push", EXPORTING, byte("stall", 500), (LOST,)),
    Case("frozen in mid-run", ROUND, byte("stall", 60), (LOST,)),
    Case("rebooting before the push", EXPORTING, reboot, ("stored",)),
    Case("rebooting in warm-up", WARMING, reboot, ("stored",)),
    Case("rebooting in a round", ROUND, reboot, ("stored",)),
    Case("offline before the push", EXPORTING, becomes("offline"), (LOST,)),
    Case("offline in a round", ROUND, becomes("offline"), (LOST,)),
    Case("unauthorized before the push", EXPORTING, becomes("unauthorized"), ("AccessError",)),
    Case("unauthorized in a round", ROUND, becomes("unauthorized"), ("AccessError",)),
    Case("every service refused", ROUND, byte("refuse"), ("AccessError",)),
    Case("a broken message", ROUND, byte("bad_magic"), ANYTIME),
    Case("no exit code", ROUND, byte("no_exit"), ANYTIME),
    Case("a shell dying in mid-run", ROUND, byte("shell_death", 60), ANYTIME),
    Case("no space before the push", EXPORTING, full, ("StorageError",)),
    Case("no space in mid-push", EXPORTING, byte("no_space", 500), ("StorageError",)),
    Case("read-only in mid-push", EXPORTING, byte("read_only", 0), ("StorageError",)),
    Case("read-only from the start", "", sealed, ("StorageError",)),
    Case("a push cut short unseen", EXPORTING, byte("truncate", 500), ("TransferError",)),
    Case(
        "libraries missing", WARMING, knob("fault=library"), ("ProgramError.missing_library",), OWN
    ),
    Case(
        "a truncated model", WARMING, knob("fault=truncated"), ("ProgramError.damaged_model",), OWN
    ),
    Case("a newer model", WARMING, knob("fault=newer"), ("ProgramError.newer_model",), OWN),
    Case("a newer model, later", ROUND, knob("fault=newer"), ("ProgramError.newer_model",), OWN),
    Case("a program that hangs", ROUND, knob("fault=slow"), ("ProgramError.timed_out",), OWN),
    Case("garbage", ROUND, knob("fault=garbage"), ("MeasurementError",), OWN),
    Case("inf", WARMING, knob("fault=inf"), ("MeasurementError",), OWN),
    Case("a line too few", ROUND, knob("fault=few"), ("MeasurementError",), OWN),
    Case("a line too many", WARMING, knob("fault=many"), ("MeasurementError",), OWN),
    Case("no summary line", ROUND, knob("fault=silent"), ("MeasurementError",), OWN),
    Case("a crash after the result", ROUND, knob("fault=crash"), ("stored",)),
]  # fmt: skip  one row a fault, to be read as a table


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
        tmp_path, VARIANTS, redo=True, deadline=1, patience=2.5, budget=lab.Budget(rounds=1)
    )
    names = tuple(Device(serial, model="Pixel 8").name for serial in ("VICTIM", "WITNESS"))
    before = [lab.old_result(order, name, each) for name in names for each in VARIANTS]
    Store(order.store).add(*before)
    return Field(victim, witness, order, (names[0], names[1]))


def strike(ground: Field, server: Any, moment: str, deed: Callable[[], None]) -> list[Outcome]:
    """Collect on both phones; `deed` is done when the victim comes to `moment`, or at once."""
    TALLY.injected += 1
    done = threading.Event()

    def watch(event: Event) -> None:
        now = event.device == ground.names[0] and event.sentence.startswith(moment or "\0")
        if now and not done.is_set():
            done.set()
            deed()

    outcomes: list[Outcome] = []
    if not moment:
        deed()
    run = threading.Thread(
        target=lambda: outcomes.extend(lab.collect(ground.order, server, watch)), daemon=True
    )
    run.start()
    run.join(HANG)
    if run.is_alive():
        TALLY.hung.append(moment)
    assert not run.is_alive(), "it hung"
    assert done.is_set() or not moment, "the fault never struck"
    return outcomes


def check(ground: Field, what: str) -> None:
    """Nothing lost, nothing damaged, and a record of each run."""
    values = lab.values(ground.order)
    wanted = {(name, str(each)) for name in ground.names for each in VARIANTS}
    TALLY.lost += [f"{what}: {each}" for each in wanted - set(values)]
    TALLY.damaged += [f"{what}: {each}" for each in Store(ground.order.store).verify()]
    assert wanted == set(values)
    assert Store(ground.order.store).verify() == []
    recorded = [each for each in Store(ground.order.store).runs() if each["kind"] == "run"]
    assert len(recorded) == 8  # those from before, and those of this time


def restored(ground: Field, server: Any) -> None:
    """The phone comes back, is measured without a fault, and nothing is left on it."""
    victim = ground.victim
    victim.adbd.fault = None
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
    outcomes = lab.collect(replace(ground.order, variants=VARIANTS[:1]), server)
    assert {each.status for each in outcomes} == {"stored"}
    for phone in (victim, ground.witness):
        TALLY.left += lab.leftovers(phone.root)
        assert lab.leftovers(phone.root) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_named_and_costs_nothing_else(ground, server, case):
    outcomes = strike(ground, server, case.moment, lambda: case.inject(ground.victim))
    of_victim = {each.variant: each for each in outcomes if each.device == ground.names[0]}
    of_witness = [each.status for each in outcomes if each.device == ground.names[1]]
    assert of_witness == ["stored", "stored"]
    assert (of_victim[FIRST].error or of_victim[FIRST].status) in case.first
    other = of_victim[SECOND]
    assert (other.error or other.status) in (case.second or case.first)
    assert all(each.reason for each in of_victim.values() if each.status == "failed")
    check(ground, case.name)
    restored(ground, server)


def test_a_program_for_another_processor_is_told_before_anything_is_pushed(
    ground, server, tmp_path
):
    elf = tmp_path / "x86"
    elf.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(44))
    right, wrong = ground.order.programs, (given(str(elf)),)
    ground.order = replace(
        ground.order,
        programs=(),
        cached=lambda device: wrong if device.name == ground.names[0] else right,
    )
    outcomes = strike(ground, server, "", lambda: None)
    failed = [each.error for each in outcomes if each.device == ground.names[0]]
    assert failed == ["AbiError", "AbiError"]
    assert [each.status for each in outcomes if each.device == ground.names[1]] == ["stored"] * 2
    assert not (ground.victim.root.folder / "data/local/tmp/mobileopt").exists()
    check(ground, "another processor")


def test_no_program_at_all_is_told_with_what_to_do(ground, server):
    ground.order = replace(ground.order, programs=())
    outcomes = strike(ground, server, "", lambda: None)
    assert {each.error for each in outcomes} == {"AbiError"}
    assert "python -m tools.build" in outcomes[0].reason
    check(ground, "no program")


def test_two_collectors_on_one_phone_are_one_too_many(ground, server, tmp_path):
    def hold(phone: Phone) -> Any:
        return claimed(phone, ground.names[0], ground.order.locks)

    with hold(server.connect(ground.victim.adbd.address)):
        outcomes = strike(ground, server, "", lambda: None)
    failed = [each for each in outcomes if each.device == ground.names[0]]
    assert [each.error for each in failed] == ["NotReadyError", "NotReadyError"]
    assert "is being measured by process" in failed[0].reason
    assert "since 0 s" in failed[0].reason or "since 1 s" in failed[0].reason
    assert [each.status for each in outcomes if each.device == ground.names[1]] == ["stored"] * 2
    check(ground, "two collectors")
    restored(ground, server)


@pytest.mark.parametrize("moment", [EXPORTING, WARMING, ROUND])
def test_a_server_ended_by_another_version_of_adb_is_started_again(tmp_path, monkeypatch, moment):
    TALLY.injected += 1
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(adb_server(tmp_path))
        stack.callback(subprocess.run, [adbutils.adb_path(), "-P", str(port), "kill-server"])
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        server = Server("127.0.0.1", port)
        for name in ("ONE", "TWO"):
            adbd = Adbd(Root(tmp_path / name, name))
            stack.callback(adbd.power_off)
            server.connect(adbd.address)
        order = lab.order(tmp_path, VARIANTS, patience=5, budget=lab.Budget(rounds=1))
        struck = threading.Event()

        def watch(event: Event) -> None:
            if event.sentence.startswith(moment) and not struck.is_set():
                struck.set()
                with socket.create_connection(("127.0.0.1", port)) as line:
                    line.sendall(b"0009host:kill")  # as a client of another version does
                    line.recv(4)

        outcomes = lab.collect(order, server, watch)
        assert struck.is_set()
        assert {each.status for each in outcomes} == {"stored"}


def test_a_claim_of_another_computer_is_respected_until_it_is_stale(ground, server):
    claim = "data/local/tmp/mobileopt/owner"
    ground.victim.root.write(claim, "another-lab 77 123")
    outcomes = strike(ground, server, "", lambda: None)
    failed = [each for each in outcomes if each.device == ground.names[0]]
    assert "process 77 of 'another-lab'" in failed[0].reason
    path = ground.victim.root.folder / claim
    old = time.time() - 7200
    os.utime(path, (old, old))
    restored(ground, server)


@pytest.mark.parametrize(
    "name",
    ["two words", "quo'te", 'dou"ble', "semi; touch owned", "$(touch owned)", "../../up", "`id`"],
)
def test_a_hostile_serial_and_hostile_paths_are_only_names(server, plug, tmp_path, name):
    TALLY.injected += 1
    plug(f"serial {name}")
    folder = tmp_path / name.replace("/", "_")
    folder.mkdir()
    order = lab.order(folder, VARIANTS, budget=lab.Budget(rounds=1))
    outcomes = lab.collect(order, server)
    assert {each.status for each in outcomes} == {"stored"}
    assert Store(order.store).verify() == []
    assert not list(tmp_path.rglob("owned"))
    assert not Path("owned").exists()


def test_a_serial_with_a_line_break_is_no_serial(server, plug):
    TALLY.injected += 1
    plug("line\nbreak")
    from mobileopt.adb import fleet

    (found,) = fleet.find(server)
    assert found.phone is None
    assert "ro.serialno" in found.problem


def test_the_campaign_lost_damaged_and_hung_nothing(capsys):
    if TALLY.injected < len(CASES):
        pytest.skip("only with the whole file")
    with capsys.disabled():
        print(
            f"\n{TALLY.injected} faults injected, {len(TALLY.lost)} results lost, "
            f"{len(TALLY.damaged)} store files damaged, {len(TALLY.hung)} hangs, "
            f"{len(TALLY.left)} left on phones"
        )
    counted = TALLY.lost, TALLY.damaged, TALLY.hung, TALLY.left
    assert counted == ([], [], [], [])
