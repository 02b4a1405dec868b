from __future__ import annotations

import pytest

from mobileopt.adb import WORK, files
from mobileopt.errors import (
    ConnectionLostError,
    DeadlineError,
    InputError,
    OutputError,
    StorageError,
    TransferError,
)
from tests.loopback.common import HOSTILE, TARGET, leftovers
from tests.loopback.wire import Fault

pytest_plugins = ["tests.loopback.fixtures"]


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
