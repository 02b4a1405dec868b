import pytest

from mobileopt.report import units


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12.3 ms"), (0.00123, "1.23 ms"), (123.4e-6, "123 µs"), (2.5, "2500 ms")],
)
def test_latencies_read_in_milliseconds_or_microseconds(seconds, text):
    assert units.milliseconds(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(14_297_355, "14.3 MB"), (5450, "5.45 kB"), (12, "12 B"), (2e9, "2.00 GB")]
)
def test_sizes_read_in_decimal_units(count, text):
    assert units.bytes_(count) == text


@pytest.mark.parametrize(("noise", "text"), [(0.0, "exact"), (0.1, "20.0 dB"), (1e-11, "exact")])
def test_noise_reads_as_decibels_of_signal_to_noise(noise, text):
    assert units.decibels(noise) == text


def test_a_ratio_of_times_reads_as_a_speed():
    assert units.speed(0.5) == "2.00x"
