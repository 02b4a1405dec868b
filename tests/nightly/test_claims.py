import math
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobileopt.nightly import claims, writing
from mobileopt.nightly.report import Row
from nightly.test_writing import CHANGE, CULPRIT, REPORT


def test_a_plain_sentence_says_what_the_commit_did_and_where():
    hosts = replace(CHANGE, machine="host", ratio=1.3)
    machines = tuple(Row(name, 3, has_tip=True) for name in ("pixel-8", "host", "pixel-6"))
    text = writing.markdown(replace(REPORT, changes=(CHANGE, hosts), machines=machines))
    sentence = "- made fused-float-nchw-mobile of mlp 1.21 to 1.3 times as slow on 2 of 3 machines"
    assert sentence in text
    assert text.index(sentence) < text.index("| variant |")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ratio": 1.042}, "fused-float-nchw-mobile of mlp 4.2% slower on pixel-8"),
        ({"ratio": 0.8, "worse": False}, "fused-float-nchw-mobile of mlp 20.0% faster on pixel-8"),
        ({"metric": "size.track_artifact", "unit": "bytes"}, "1.21 times as large on pixel-8"),
        ({"metric": "passes.time_apply", "variant": "mlp/fx"}, "the pass fx on mlp 1.21 times as"),
        ({"metric": "fidelity.track_noise", "ratio": math.inf}, "less exact, from nothing on"),
    ],
)
def test_the_sentence_fits_what_was_measured(fields, words):
    text = writing.markdown(replace(REPORT, changes=(replace(CHANGE, **fields),)))
    assert words in text


def test_it_says_how_to_measure_it_again_on_the_host_and_on_a_phone():
    text = writing.markdown(REPORT)
    assert (
        "mobileopt check --base 55555555 --head 66666666 "
        "--models mlp --recipes fused-float-nchw-mobile --passes\n"
    ) in text
    text = writing.markdown(replace(REPORT, changes=(replace(CHANGE, on_phone=True),)))
    assert "python -m tools.collect --redo --device pixel-8 --model mlp" in text
    a_pass = replace(CHANGE, metric="passes.time_apply", variant="mlp/fx")
    text = writing.markdown(replace(REPORT, changes=(a_pass,)))
    assert "--recipes --passes fx --pass-models mlp" in text


def test_the_changes_of_one_commit_are_bounded_and_the_rest_is_counted():
    many = tuple(replace(CHANGE, machine=f"phone-{n:02}") for n in range(25))
    text = writing.markdown(replace(REPORT, changes=many))
    assert text.count("\n| mlp/") == 20
    assert "and 5 more changes, see report.json" in text


def test_a_range_lists_its_commits():
    change = replace(CHANGE, candidates=(CULPRIT, replace(CULPRIT, hash="7" * 40)))
    text = writing.markdown(replace(REPORT, changes=(change,)))
    assert "one of 2 commits, 66666666 to 77777777" in text
    assert "\n- 77777777 Fold less" in text


def told(*changes, machines=(), site=""):
    return claims.claims(changes, machines, site)


def test_what_one_commit_did_is_one_claim_and_what_another_did_another():
    other = replace(CHANGE, candidates=(replace(CULPRIT, hash="7" * 40),))
    gone = replace(CHANGE, candidates=())
    found = told(CHANGE, other, gone, replace(CHANGE, machine="host"))
    assert [len(each.rows) for each in found] == [2, 1, 1]
    assert [each.title[:8] for each in found] == ["66666666", "77777777", "a commit"]
    assert found[2].who == ("after 55555555",)
    assert found[2].again == ()


@pytest.mark.parametrize("ratios", [(1.2, 3.0, math.inf, 1.5), (0.9, 0.2, 0.0, 0.5)])
def test_the_largest_change_is_told_first_whichever_its_direction(ratios):
    changes = [replace(CHANGE, ratio=ratio, variant=f"m{n}/a") for n, ratio in enumerate(ratios)]
    [claim] = told(*changes, site="https://lab.example.org")
    assert [int(each.split(" of m")[1][0]) for each in claim.sentences] == [2, 1, 3, 0]
    assert "p-model=%27m2%27" in claim.graph
    assert "--models m2 " in claim.again[0]


def test_what_is_not_of_an_artifacts_time_is_counted_on_the_machines_that_saw_it():
    size = replace(CHANGE, metric="size.track_artifact", unit="bytes")
    [time], [exact] = (told(each, machines=("pixel-8", "host")) for each in (CHANGE, size))
    assert time.sentences[0].endswith(" on 1 of 2 machines")
    assert exact.sentences[0].endswith(" on pixel-8")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text("/#?&=%+' \"<>é"))
def test_any_name_comes_back_from_the_address_of_its_history(machine, recipe):
    change = replace(CHANGE, machine=machine, variant=f"net/{recipe}")
    address = claims.graph(change, "https://lab.example.org")
    assert address.startswith("https://lab.example.org/index.html#/series?")
    asked = parse_qs(urlsplit(address).fragment.partition("?")[2], strict_parsing=True)
    assert asked["machine"] == [machine]
    assert asked["p-recipe"] == [repr(recipe)]
    assert address.isascii()
