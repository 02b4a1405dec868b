import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.artifact import Artifact, Fidelity
from mobileopt.compare import compare
from mobileopt.nightly import judgement
from mobileopt.nightly.judgement import Judgement, of_values
from mobileopt.variant import Variant

ARTIFACT = Artifact(
    variant=Variant.parse("mlp/unfused-float-nchw-eager"), file="model.pt", sha256="0" * 64,
    size=1000, inputs=(), engine=None, weights="seeded", calibration=None,
    fidelity=Fidelity(0.25, 0.75, 0.5, 16), left={}, versions={}, folder=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (1000.0, 1031.0, "slower"),
        (1000.0, 1029.0, "same"),
        (1031.0, 1000.0, "faster"),
        (0.2, 0.3, "same"),
        (0.0, 0.0, "same"),
        (0.0, 1.0, "slower"),
        (1.0, 0.0, "faster"),
    ],
)
def test_two_numbers_without_noise_are_compared_as_they_are(before, after, verdict):
    found = of_values(before, after, 0.03, "bytes")
    assert (found.verdict, found.how, found.alpha) == (verdict, "exact", 0.0)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(1.30e-6, 1.45e-6, "same"), (0.0, 0.5, "slower"), (0.01, 0.02, "slower")],
)
def test_an_error_below_rounding_counts_as_nothing(before, after, verdict):
    found = of_values(before, after, 0.03, "fraction")
    assert (found.verdict, math.isfinite(found.ratio)) == (verdict, True)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_judgement_survives_the_ledger(before, after):
    found = of_values(before, after, 0.03, "bytes")
    stored = json.loads(json.dumps(found.as_dict()).replace("Infinity", "null"))
    again = Judgement.of(stored)
    assert (again.verdict, again.sentence) == (found.verdict, found.sentence)
    assert again.high == found.high


def test_a_session_is_told_with_its_interval_and_level():
    a = [[1.0 + number / 1000] for number in range(24)]
    b = [[1.2 + number / 1000] for number in range(24)]
    found = judgement.of_comparison(compare(a, b, threshold=0.03))
    assert (found.verdict, found.how) == ("slower", "session")
    assert found.low < found.ratio < found.high < 1.25
    assert "the later commit is" in found.sentence


def test_a_manifest_holds_size_and_errors_and_nothing_else():
    assert judgement.exact_metric("size.track_artifact", ARTIFACT) == 1000
    assert judgement.exact_metric("fidelity.track_noise", ARTIFACT) == 0.25
    assert judgement.exact_metric("fidelity.track_top1_disagreement", ARTIFACT) == 0.25
    assert judgement.exact_metric("latency.time_forward", ARTIFACT) is None
