import pytest

from mobileopt.nightly.quarantine import Quarantine
from mobileopt.store.files import StoreWarning

HOUR = 3600.0


@pytest.fixture
def quarantine(tmp_path):
    return Quarantine(tmp_path / "quarantine.json", strikes=3, hours=72)


def test_the_third_failure_in_a_row_puts_a_phone_out_with_its_reason(quarantine):
    assert [quarantine.strike("R58M", f"reason {n}", n) for n in range(3)] == [False, False, True]
    assert quarantine.is_out("R58M", 10.0)
    assert quarantine.standings()["R58M"].reason == "reason 2"
    assert not quarantine.is_out("OTHER", 10.0)


def test_a_success_in_between_starts_the_count_anew(quarantine):
    quarantine.strike("R58M", "a", 0)
    quarantine.strike("R58M", "b", 0)
    quarantine.clear("R58M")
    assert not quarantine.strike("R58M", "c", 0)


def test_it_is_released_after_its_hours_and_one_more_failure_puts_it_back(quarantine):
    for _ in range(3):
        quarantine.strike("R58M", "too hot", 0.0)
    assert quarantine.is_out("R58M", 71.9 * HOUR)
    assert not quarantine.is_out("R58M", 72 * HOUR)
    assert quarantine.strike("R58M", "still too hot", 73 * HOUR)


def test_another_process_sees_it(quarantine, tmp_path):
    for _ in range(3):
        quarantine.strike("R58M", "gone", 0.0)
    assert Quarantine(tmp_path / "quarantine.json", 3, 72).is_out("R58M", 1.0)


def test_a_damaged_file_is_moved_aside_and_nobody_is_out(quarantine, tmp_path):
    (tmp_path / "quarantine.json").write_text('{"R58M": 3}')
    with pytest.warns(StoreWarning):
        assert not quarantine.is_out("R58M", 0.0)
    assert not quarantine.strike("R58M", "again", 0.0)
