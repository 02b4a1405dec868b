from __future__ import annotations

import pytest

from mobileopt.adb.claim import CLAIM, claimed, renew
from mobileopt.errors import NotReadyError, OutputError

pytest_plugins = ["tests.loopback.fixtures"]


def test_a_renewed_claim_is_newer_and_still_ours(connected, tmp_path):
    path = connected.root.path(CLAIM)
    with claimed(connected.phone, "pixel", tmp_path):
        before = path.stat().st_mtime_ns
        renew(connected.phone, "pixel")
        assert path.stat().st_mtime_ns > before
    assert not path.exists()


def test_a_claim_the_phone_lost_is_made_again(connected, tmp_path):
    path = connected.root.path(CLAIM)
    with claimed(connected.phone, "pixel", tmp_path):
        path.unlink()
        renew(connected.phone, "pixel")
        assert path.exists()


def test_the_claim_of_another_computer_is_neither_renewed_over_nor_removed(connected, tmp_path):
    with claimed(connected.phone, "pixel", tmp_path):
        connected.root.write(CLAIM, "another-lab 77 123")
        with pytest.raises(NotReadyError, match="process 77 of 'another-lab'"):
            renew(connected.phone, "pixel")
    assert connected.root.read(CLAIM) == "another-lab 77 123"


def test_a_lock_whose_holder_cannot_be_written_is_let_go(connected, tmp_path):
    (tmp_path / "pixel.owner").mkdir()
    with (
        pytest.raises(OutputError, match="cannot be written"),
        claimed(connected.phone, "pixel", tmp_path),
    ):
        pytest.fail("it is held")
    (tmp_path / "pixel.owner").rmdir()
    with claimed(connected.phone, "pixel", tmp_path):
        assert connected.root.path(CLAIM).exists()
