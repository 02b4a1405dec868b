from datetime import date

import pytest
from store.entries import LATENCY, entry

from mobileopt.accepted import Accepted
from mobileopt.accepted_names import problems
from mobileopt.gate.finding import SIZE
from mobileopt.store import Benchmark, Store


def of(metric, variant="*"):
    return Accepted(metric, variant, 1.1, "why", date(2999, 1, 1))


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "results")
    own = Benchmark("own.track_size", "1", "bytes", (("net/fx-float-nchw-mobile",),), ("variant",))
    made.add(entry(), entry(1, benchmark=own, combination=("net/fx-float-nchw-mobile",)))
    return made


@pytest.mark.parametrize(
    "known",
    [
        of(LATENCY.name, "resnet18/nhwc"),
        of("own.track_size", "net/fx-float-nchw-mobile"),
        of(SIZE, "mobilenet_v2/fused-float-nhwc-mobile"),
        of("export", "annotated_conv_bn_relu/fx"),
    ],
    ids=lambda each: f"{each.metric} of {each.variant}",
)
def test_names_of_the_store_and_of_the_gate_are_both_known(store, known):
    assert problems([known], store) == []


def test_an_entry_of_neither_names_the_nearest_of_both(store):
    told = problems([of("own.track_sise"), of("size.track_artefact")], store)
    assert "did you mean 'own.track_size'" in told[0]
    assert "did you mean 'size.track_artifact'" in told[1]


def test_without_a_store_what_the_gate_measures_is_known(tmp_path):
    assert problems([of(SIZE)], Store(tmp_path / "nowhere")) == []
    assert len(problems([of("own.track_size")], Store(tmp_path / "nowhere"))) == 1


def test_what_was_just_found_is_known_too(store):
    found = of("other.track_x", "net2")
    assert problems([found], store, ["other.track_x"], ["net2"]) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"a.track_x": {"params": 7, "param_names": 8}}'])
def test_a_damaged_list_of_benchmarks_is_no_reason_to_stop(store, text, recwarn):
    (store.path / "benchmarks.json").write_text(text)
    assert problems([of(SIZE)], store) == []
