import pytest

from mobileopt.nightly.ledger import Ledger
from mobileopt.store.files import StoreWarning


def test_what_was_written_is_there_for_the_next_night(tmp_path):
    ledger = Ledger(tmp_path / "state" / "ledger.jsonl")
    ledger.add("judged", machine="host", result="refuted")
    ledger.add("judged", machine="pixel", result="unclear")
    again = Ledger(tmp_path / "state" / "ledger.jsonl")
    assert [each["machine"] for each in again.of("judged")] == ["host", "pixel"]
    assert again.last("judged", machine="host") == {
        "kind": "judged", "machine": "host", "result": "refuted",
    }  # fmt: skip
    assert again.last("judged", machine="nobody") is None


def test_a_line_torn_by_a_crash_costs_that_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    Ledger(path).add("took", job="a")
    with path.open("a") as file:
        file.write('{"kind": "took", "jo')
    with pytest.warns(StoreWarning):
        ledger = Ledger(path)
    ledger.add("took", job="b")
    with pytest.warns(StoreWarning):
        assert [each["job"] for each in Ledger(path).of("took")] == ["a", "b"]
