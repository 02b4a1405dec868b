from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from mobileopt.nightly.config import Config, Phones
from mobileopt.nightly.jobs import Job, Machine
from mobileopt.sampling import Budget
from tools import _night_phones as phones

JOB = Job("measure", Machine("pixel", "ONE"), "HEAD")


@dataclass
class Collected:
    """Stands in for a collection: keeps what was ordered, and answers with `outcomes`."""

    orders: list
    outcomes: tuple = ()

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
