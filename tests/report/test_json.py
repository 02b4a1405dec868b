import json
import math

import pytest
from test_verdicts import BASE, INT8, NHWC, judge, judged_under_conditions, one_round

from mobileopt.report.json import dump


@pytest.fixture
def found():
    return judge({BASE: 0.03, NHWC: 0.01, INT8: 0.01}, {BASE: 0.0}, refused={"x": 'no "such"\n'})


def read(found):
    return json.loads(dump(found), parse_constant=pytest.fail)


def test_json_is_strict_and_holds_the_raw_samples(found):
    document = read(found)
    assert document["variants"][0]["sqnr_db"] is None  # infinite
    assert len(document["wall_seconds"][NHWC]) == len(document["launches"]) == 24
    assert document["wall_seconds"][NHWC] == [list(each) for each in found.record.wall[NHWC]]
    assert document["steps"][0]["comparison"]["verdict"] == "same"
    assert document["advice"] == found.advice


def test_json_gives_seconds_and_bytes(found):
    variant = read(found)["variants"][1]
    assert math.isclose(variant["latency_seconds"], 0.01, rel_tol=0.02)
    assert variant["size_bytes"] == 1_000_000


def test_what_was_refused_is_told_as_it_was_said(found):
    assert read(found)["refused"] == {"x": 'no "such"\n'}


def test_an_interval_without_ends_is_null_and_the_rest_is_still_told():
    variant = read(one_round())["variants"][1]
    assert variant["latency_high"] is None
    assert variant["latency_seconds"] > 0
    assert variant["against_baseline"]["high"] is None
    assert variant["against_baseline"]["minimum_detectable"] is None


def test_a_comparison_tells_people_and_machines_the_same(found):
    document = read(found)
    told = document["variants"][1]["against_baseline"]
    assert told["sentence"] == str(found.rows[1].against_baseline)
    assert document["variants"][0]["against_baseline"] is None
    step = document["steps"][0]
    assert (step["slot"], step["before"], step["after"]) == ("precision", NHWC, INT8)


def test_each_memory_condition_of_a_recipe_is_a_variant_with_its_counts():
    variants = read(judged_under_conditions())["variants"]
    assert [each["memory"] for each in variants[:2]] == ["reused-kept", "fresh-kept"]
    assert variants[1]["name"] != variants[0]["name"]
    assert variants[1]["allocations"] == {"count": 7, "bytes": 64}
