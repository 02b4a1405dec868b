from dataclasses import replace

import pytest

from mobileopt.adb import fleet
from mobileopt.collection import session as collection_session
from mobileopt.errors import CombinationError, ConnectionLostError, NotReadyError
from mobileopt.nightly import phones
from mobileopt.nightly.config import Confirm, Phones
from mobileopt.nightly.jobs import Job, Machine
from mobileopt.nightly.sessions import TimeUpError
from mobileopt.validity import thresholds
from tests.collection import lab

pytest_plugins = ["tests.loopback.fixtures"]

PLAN = Confirm(launches=4, rounds=3, threshold=0.03)


@pytest.fixture
def quick(monkeypatch):
    """No waiting for a phone that is as cool as its files say."""
    gate = replace(thresholds()[0], cooldown=1.0, poll=0.1)
    setting = collection_session.Setting
    monkeypatch.setattr(phones, "Setting", lambda *a, **k: setting(*a, **k, entry=gate))


def settings(server, *serials):
    return Phones(enabled=True, serials=serials, adb_host="127.0.0.1", adb_port=server.port)


def test_all_phones_are_taken_when_none_is_named(server, plug):
    plug("ONE"), plug("TWO")
    found = phones.present(settings(server), server)
    assert sorted(device.serial for device, _ in found.usable) == ["ONE", "TWO"]
    assert found.absent == {}


def test_a_phone_that_is_asked_for_and_not_there_is_told(server, plug):
    plug("ONE")
    found = phones.present(settings(server, "ONE", "GONE"), server)
    assert [device.serial for device, _ in found.usable] == ["ONE"]
    assert found.absent == {"GONE": "it is not connected"}


def test_a_job_of_a_phone_that_went_away_fails_as_the_phones_fault(server, plug):
    with pytest.raises(ConnectionLostError, match="GONE: it is not connected"):
        phones.one(settings(server, "GONE"), "GONE")


def test_asking_for_a_phone_that_is_connected_does_not_cut_off_who_measures_on_it(server, plug):
    phone = plug("ONE")
    asked = replace(settings(server, "ONE"), connect=(phone.adbd.address,))
    assert phones.present(asked, server).usable
    connections = list(phone.adbd._connections)
    device, _ = phones.one(asked, "ONE")
    assert device.serial == "ONE"
    assert phone.adbd._connections == connections


def test_a_network_phone_that_is_not_connected_is_connected(server, plug):
    phone = plug("ONE")
    server.client().disconnect(phone.adbd.address)
    asked = replace(settings(server, "ONE"), connect=(phone.adbd.address,))
    assert phones.one(asked, "ONE")[0].serial == "ONE"


@pytest.fixture
def compared(server, plug, quick, tmp_path):
    """Compare artifacts of two sizes in a session on a phone; knobs set their times."""
    plug("ONE")
    [found] = [each for each in fleet.find(server) if each.device]
    order = lab.order(tmp_path / "lab", ())
    before = lab.forge(order, lab.VARIANTS[0], 1000)
    after = lab.forge(order, lab.VARIANTS[1], 2000)
    job = Job(
        "compare", Machine(found.device.name, "ONE"), "b" * 40, "a" * 40,
        "latency.time_forward", str(before.variant),
    )  # fmt: skip

    def compare(text="", one=before, other=after, **changes):
        program = lab.program(tmp_path / "lab", text)
        folders = (tmp_path / "raw", tmp_path / "locks")
        session = phones.on_phone(found.device, found.phone, (program,), PLAN, folders)
        return session(one, other, replace(job, **changes))

    return compare


def slow_program():
    """The fast program, that takes a third more for a model of 2,000 bytes."""
    text = lab.PROGRAM.read_text(encoding="utf-8")
    return text.replace('echo "Starting', '[ $((size)) = 2000 ] && micros=1300\necho "Starting', 1)


def test_a_slower_artifact_is_slower_on_the_phone(compared, tmp_path):
    judged = compared(slow_program())
    assert (judged.verdict, judged.how) == ("slower", "session")
    assert judged.ratio == pytest.approx(1.3, rel=0.02)
    assert len(list((tmp_path / "raw").glob("compare-*.json"))) == 1


def test_artifacts_that_take_as_long_are_the_same(compared):
    assert compared().verdict == "same"


def test_a_program_that_fails_on_an_artifact_is_that_commits_fault(compared):
    text = lab.PROGRAM.read_text(encoding="utf-8")
    text = text.replace('echo "Starting', '[ $((size)) = 2000 ] && fault=newer\necho "Starting', 1)
    with pytest.raises(CombinationError, match="failed"):
        compared(text)


def test_a_phone_in_use_is_not_used_by_a_second_job(compared, tmp_path, server):
    from mobileopt.adb import claim

    [found] = [each for each in fleet.find(server) if each.device]
    with (
        claim.claimed(found.phone, found.device.name, tmp_path / "locks"),
        pytest.raises(NotReadyError, match="is being measured by"),
    ):
        compared()


def test_when_the_time_is_up_the_session_ends(compared):
    with pytest.raises(TimeUpError):
        compared(seconds=0.01)
