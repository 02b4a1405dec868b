import pytest

from mobileopt.errors import CapabilityError
from mobileopt.metrics import peak_memory


def test_the_increment_counts_what_the_action_touched_and_gave_back():
    size = 64 * 2**20
    found = peak_memory.increment(lambda: bytearray(size))
    assert 0.95 * size < found < 2 * size  # the kernel counts pages in batches


def test_an_action_that_needs_nothing_adds_next_to_nothing():
    assert peak_memory.increment(lambda: None) < 2**20


def test_elsewhere_than_on_linux_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(peak_memory, "_STATUS", tmp_path / "status")
    with pytest.raises(CapabilityError, match="which Linux has"):
        peak_memory.increment(lambda: None)
