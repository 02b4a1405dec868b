"""Collecting on a real adbd, with mksh and toybox, as phones have them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from dataclasses import replace

import pytest

from mobileopt.adb import WORK
from mobileopt.adb.claim import CLAIM, claimed
from mobileopt.collection import launching, traces
from mobileopt.errors import DeviceError, NotReadyError
from tests.collection import lab
from tests.loopback.common import until

pytest_plugins = ["tests.loopback.fixtures"]

SLEEPER = f"{WORK}/mobileopt/bin/0123/speed_benchmark_torch"


def test_a_collection_goes_the_whole_way(real_phone, server, tmp_path):
    box, _ = real_phone
    order = lab.order(tmp_path, lab.VARIANTS[:2])
    outcomes = lab.collect(replace(order, pin=False), server)
    assert [each.status for each in outcomes] == ["stored", "stored"]
    assert lab.leftovers(box.root) == []


def test_a_program_that_a_killed_run_left_is_ended(real_phone, server):
    box, phone = real_phone
    box.root.write(SLEEPER, "#!/system/bin/sh\nsleep 300\n")
    (box.root.folder / SLEEPER.lstrip("/")).chmod(0o755)
    other = next(e for e in server.phones() if e.transport.serial == box.address)

    def run() -> None:
        with contextlib.suppress(DeviceError):  # its own child outlives it, until the phone is off
            other.script(launching._LAUNCH, traces.RUNNING, "token", "", SLEEPER, deadline=60)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until(lambda: phone.shell(["cat", traces.RUNNING]).code == 0)
    traces.tidy(phone, [])
    listed = phone.shell(["ps", "-A", "-o", "args="]).stdout
    assert SLEEPER not in listed
    assert not (box.root.folder / SLEEPER.lstrip("/")).exists()


def test_a_claim_names_its_holder_until_it_is_let_go(real_phone, tmp_path):
    _, phone = real_phone
    with claimed(phone, "pixel", tmp_path / "one"):
        assert phone.shell(["cat", CLAIM]).stdout.split()[1] == str(os.getpid())
        phone.script('printf %s "another-lab 77 1" > "$1"', CLAIM)
        with (
            pytest.raises(NotReadyError, match="process 77 of 'another-lab', since"),
            claimed(phone, "pixel", tmp_path / "two"),
        ):
            pytest.fail("two hold one phone")
    assert phone.shell(["cat", CLAIM]).stdout == "another-lab 77 1"  # it is not ours to remove


def test_a_claim_of_a_process_that_is_gone_is_taken_over(real_phone, tmp_path):
    _, phone = real_phone
    phone.script('mkdir -p "${1%/*}"; printf %s "$2" > "$1"', CLAIM, f"{socket.gethostname()} 1 7")
    with claimed(phone, "pixel", tmp_path):
        assert phone.shell(["cat", CLAIM]).stdout.split()[1] == str(os.getpid())
