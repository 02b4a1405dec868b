import pytest

from mobileopt import floors


@pytest.mark.parametrize(
    ("value", "unit", "lifted"),
    [
        (0.0, "fraction", 1e-4),
        (1.3e-6, "ratio", 1e-4),
        (0.02, "ratio", 0.02),
        (0.0, "bytes", 0.5),
        (0.0, "seconds", 0.0),
    ],
)
def test_what_can_be_nothing_is_lifted_to_the_floor_of_its_unit(value, unit, lifted):
    assert floors.lifted(value, unit) == lifted


def test_a_level_at_its_floor_is_nothing_again():
    assert floors.lowered(1e-4, "ratio") == 0.0
    assert floors.lowered(0.5, "modules") == 0.0
    assert floors.lowered(0.02, "ratio") == 0.02
