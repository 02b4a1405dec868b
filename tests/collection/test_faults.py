"""A campaign of faults: each at its moment, on one of two phones that are being measured.

What must hold whatever happens: a named error in the record, the other phone goes on, no good
result is lost, the store is whole, nothing hangs, and the phone is left as it was found.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from mobileopt.adb import files
from mobileopt.collection import traces
from mobileopt.collection.programs import given
from mobileopt.errors import ConnectionLostError, DeadlineError
from tests.collection.faults import (
    Inject,
    becomes,
    blink,
    byte,
    freeze,
    full,
    knob,
    reboot,
    sealed,
    swap,
    unplug,
)
from tests.collection.ground import (
    EXPORTING,
    FIRST,
    LATER,
    MOMENTS,
    ROUND,
    SECOND,
    WARMING,
    check,
    restored,
    strike,
)
from tests.loopback.wire import Fault

pytest_plugins = ["tests.loopback.fixtures"]
pytestmark = pytest.mark.usefixtures("impatient")

LOST = "ConnectionLostError"
ANYTIME = ("stored", LOST, "DeadlineError", "TransferError")
OWN = ("stored",)


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
