"""The same on a real adbd, with the shell and the tools of a phone."""

from __future__ import annotations

import os

import pytest

from mobileopt.adb import WORK, files, probe
from mobileopt.errors import (
    ConnectionLostError,
    DeadlineError,
    PermanentDeviceError,
    ProgramError,
)
from tests.loopback.common import HOSTILE

pytest_plugins = ["tests.loopback.fixtures"]


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
