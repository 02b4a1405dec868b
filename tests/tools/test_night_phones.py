from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from mobileopt.collection import FAILED, PRESENT, SKIPPED, STORED, Outcome
from mobileopt.errors import ConnectionLostError, MeasurementError, NotReadyError, StoreError
from mobileopt.nightly.config import Config, Phones
from mobileopt.nightly.jobs import Job, Machine
from mobileopt.sampling import Budget
from tools import _night_phones as phones

JOB = Job("measure", Machine("pixel", "ONE"), "HEAD")


@dataclass
class Collected:
    """Stands in for a collection: keeps what was ordered, and answers with `outcomes`."""

    orders: list
    outcomes: tuple = (Outcome("pixel", "mlp/a", STORED),)

    def __call__(self, order):
        self.orders.append(order)
        return SimpleNamespace(run=lambda devices: self.outcomes, stop=lambda: None)


@pytest.fixture
def collected(monkeypatch):
    made = Collected([])
    monkeypatch.setattr(phones, "Collection", made)
    monkeypatch.setattr(phones.phones, "one", lambda *_: (None, None))
    return made


def test_a_session_takes_the_rounds_and_seconds_of_the_configuration(collected, tmp_path):
    phones.measure(Config(phones=Phones(rounds=6, seconds=40.0)), JOB, tmp_path)
    assert collected.orders[0].budget == Budget(6, seconds=40.0)


def test_without_a_word_of_it_a_session_is_as_long_as_a_collection_by_hand(collected, tmp_path):
    phones.measure(Config(), JOB, tmp_path)
    assert collected.orders[0].budget == Budget()


def outcome(status, error="", reason="so it is"):
    return Outcome("pixel", "mlp/a", status, reason, error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("ConnectionLostError", ConnectionLostError),
        ("NotReadyError", NotReadyError),
        ("StoreError", StoreError),
    ],
)
def test_a_phone_that_fails_in_the_middle_has_failed(collected, tmp_path, error, kind):
    collected.outcomes = (outcome(STORED), outcome(FAILED, error, "the cable came off"))
    with pytest.raises(kind, match="the cable came off"):
        phones.measure(Config(), JOB, tmp_path)


@pytest.mark.parametrize("error", ["ProgramError.newer", "CombinationError", "invalid"])
def test_a_variant_that_fails_by_itself_is_no_failure_of_the_others(collected, tmp_path, error):
    collected.outcomes = (outcome(PRESENT), outcome(FAILED, error), outcome(SKIPPED))
    phones.measure(Config(), JOB, tmp_path)


@pytest.mark.parametrize("status", [FAILED, SKIPPED])
def test_a_commit_without_any_value_is_told_with_its_reason(collected, tmp_path, status):
    collected.outcomes = (outcome(status, reason="no program takes .pte files"),)
    with pytest.raises(MeasurementError, match=r"no program takes \.pte files"):
        phones.measure(Config(), JOB, tmp_path)
