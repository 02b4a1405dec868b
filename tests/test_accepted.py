import math
import tomllib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.accepted import Accepted, problems, read
from mobileopt.errors import InputError

ENTRY = """
[[accepted]]
metric = "size.track_artifact"
variant = "mobilenet_v2/*"
up_to = 1.02
reason = "carries its own preprocessing"
expires = 2999-06-30
"""
METRICS = ["size.track_artifact", "latency.time_forward"]
VARIANTS = ["mobilenet_v2/fx-float-nchw-mobile", "resnet18/fx-float-nchw-mobile"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mobileopt-accepted.toml"
    path.write_text(ENTRY)
    return path


def test_no_file_is_no_entries(tmp_path):
    assert read(tmp_path / "none.toml") == ()


def test_an_entry_is_read(file):
    assert read(file) == (
        Accepted(
            "size.track_artifact", "mobilenet_v2/*", 1.02, "carries its own preprocessing",
            date(2999, 6, 30),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('reason = "carries its own preprocessing"', "", "entry 1 lacks reason"),
        ("expires = 2999-06-30", "", "entry 1 lacks expires"),
        ('"carries its own preprocessing"', '" "', "reason is ' ', not a text"),
        ("2999-06-30", '"tomorrow"', "expires is 'tomorrow', not a date"),
        ("1.02", "0.98", "up_to is 0.98, not a ratio of at least 1"),
        ("1.02", "true", "up_to is True, not a ratio"),
        ("1.02", "nan", "up_to is nan, not a ratio"),
        ("up_to", "upto", "did you mean 'up_to'"),
        ("[[accepted]]", "[[acepted]]", "did you mean 'accepted'"),
        ("[[accepted]]", "[accepted]", "a list of tables"),
        ("1.02", "1.02.3", "cannot be read as TOML"),
        ('"size.track_artifact"', "3", "metric is 3, not a text"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence_that_names_it(file, old, new, sentence):
    file.write_text(ENTRY.replace(old, new))
    with pytest.raises(InputError) as refused:
        read(file)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_entry_holds_through_its_last_day(file):
    [entry] = read(file)
    covered = ("size.track_artifact", "mobilenet_v2/x", 1.01)
    assert entry.covers(*covered, today=date(2999, 6, 30))
    assert not entry.covers(*covered, today=date(2999, 7, 1))


def test_an_expired_entry_is_reported(file):
    assert problems(read(file), METRICS, VARIANTS) == []
    [told] = problems(read(file), METRICS, VARIANTS, today=date(3000, 1, 1))
    assert "expired on 2999-06-30" in told


def test_a_name_that_matches_nothing_is_reported_with_the_nearest(file):
    file.write_text(ENTRY.replace("size.track_artifact", "size.track_artefact"))
    [told] = problems(read(file), METRICS, VARIANTS)
    assert "did you mean 'size.track_artifact'?" in told
    file.write_text(ENTRY.replace("mobilenet_v2/*", "mobilenet_v2/fx-float-nchv-mobile"))
    [told] = problems(read(file), METRICS, VARIANTS)
    assert "did you mean 'mobilenet_v2/fx-float-nchw-mobile'?" in told


text = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1).filter(str.strip)


@given(text, text, text, st.floats(1, 1e6) | st.just(math.inf), st.dates(), st.none() | text)
def test_what_is_printed_reads_back(metric, variant, reason, up_to, expires, commit):
    entry = Accepted(metric, variant, float(f"{up_to:.6g}"), reason, expires, commit)
    [table] = tomllib.loads(entry.to_toml())["accepted"]
    assert Accepted(**table) == entry
