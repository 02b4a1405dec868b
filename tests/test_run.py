import math

import pytest

from mobileopt.errors import MeasurementError
from mobileopt.run import LATENCY, Measurement, Plan, Run, Validity
from mobileopt.variant import Variant


def test_a_measurement_without_samples_is_refused():
    with pytest.raises(MeasurementError, match="without a single sample"):
        Measurement(LATENCY, ())


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_a_sample_that_is_no_positive_number_is_refused_and_shown(bad):
    with pytest.raises(MeasurementError, match=r"1 samples .* the first is"):
        Measurement(LATENCY, (1.0, bad))


def test_the_median_of_an_even_count_is_between_the_middle_two():
    assert Measurement(LATENCY, (4.0, 1.0, 2.0, 3.0)).median == 2.5


def test_a_run_keeps_its_rounds_apart_and_offers_all_samples_in_order():
    rounds = (Measurement(LATENCY, (1.0, 2.0)), Measurement(LATENCY, (3.0,)))
    run = Run(Variant.parse("mlp/fx-float-nchw-mobile"), "0" * 64, "phone", Plan(), rounds)
    assert run.samples == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("verdict", "reasons"), [("valid", ("hot",)), ("suspect", ()), ("fine", ())]
)
def test_a_validity_that_contradicts_itself_is_a_mistake_of_ours(verdict, reasons):
    with pytest.raises(ValueError, match="valid"):
        Validity(verdict, reasons)
