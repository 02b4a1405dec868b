import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mobileopt.commits import Commit
from mobileopt.nightly import writing
from mobileopt.nightly.report import Change, Report, Row
from mobileopt.nightly.suspects import Suspect

START = datetime(2026, 3, 1, 22, tzinfo=UTC)
CULPRIT = Commit("6" * 40, "Ada", datetime(2026, 3, 1, 12, tzinfo=UTC), "Fold less | <b>`rm`</b>")
CHANGE = Change(
    id="urn:uuid:1", machine="pixel-8", metric="latency.time_forward", unit="seconds",
    variant="mlp/fused-float-nchw-mobile", worse=True, candidates=(CULPRIT,), parent="5" * 40,
    ratio=1.212, low=1.19, high=1.23, how="session", sentence="the later commit is 21 % slower",
    confidence=0.96, before=0.01234, found_at=START.timestamp(), new=True,
)  # fmt: skip
SUSPECT = Suspect(
    "pixel-8", "series", "latency.time_forward", "seconds", "mlp/unfused-float-nchw-mobile",
    "1" * 40, "4" * 40, "2" * 40, 0.01, 0.011, 4.0,
)  # fmt: skip
REPORT = Report(
    title="Lab", started=START, ended=START, tip="9" * 40, subject="The newest",
    machines=(Row("pixel-8", 3, has_tip=True),), changes=(CHANGE,),
)  # fmt: skip


def test_a_regression_stands_first_with_its_commit_author_size_and_confidence():
    text = writing.markdown(REPORT)
    assert text.startswith("# Lab: 1 regression from 1 commit\n")
    assert "### 66666666 Fold less" in text
    assert "by Ada, 2026-03-01 12:00 +0000" in text
    assert "| +21.2% | +19.0% to +23.0% (99%) | 12.3 ms | at least 96.0% |" in text


def test_nothing_that_came_from_outside_is_markup():
    text = writing.markdown(REPORT)
    assert "<b>" not in text
    assert "`rm`" not in text
    control = replace(CHANGE, machine="evil\x1b[31m\n# heading")
    assert "\x1b" not in writing.markdown(replace(REPORT, changes=(control,)))
    assert "\n# heading" not in writing.markdown(replace(REPORT, changes=(control,)))


def test_a_range_lists_its_commits():
    change = replace(CHANGE, candidates=(CULPRIT, replace(CULPRIT, hash="7" * 40)))
    text = writing.markdown(replace(REPORT, changes=(change,)))
    assert "one of 2 commits, 66666666 to 77777777" in text


def test_what_was_left_undecided_and_refuted_is_told_with_its_reason():
    report = replace(
        REPORT, changes=(), undecided=((SUSPECT, "no time was left"),),
        refuted=((SUSPECT, "no difference larger than 0.4 %"),), left=("abc on pixel-8",),
        warnings=("origin could not be fetched",), site="/srv/site",
    )  # fmt: skip
    text = writing.markdown(report)
    assert text.startswith("# Lab: 1 suspicion could not be decided\n")
    for part in ("+10.0% at `22222222`: no time was left", "no difference larger than 0.4 %",
                 "abc on pixel-8", "origin could not be fetched", "/srv/site"):  # fmt: skip
        assert part in text


def test_long_lists_are_cut_and_counted():
    text = writing.markdown(replace(REPORT, left=tuple(f"commit {n}" for n in range(25))))
    assert "commit 9" in text
    assert "commit 10" not in text
    assert "and 15 more, see report.json" in text


@pytest.mark.parametrize(
    ("change", "level", "code"),
    [
        ({}, "regression", 1),
        ({"changes": ()}, "nothing", 0),
        ({"changes": (), "undecided": ((SUSPECT, "why"),)}, "undecided", 2),
        ({"changes": (), "machines": ()}, "undecided", 2),
        ({"changes": (), "machines": (Row("a", 0, has_tip=False),)}, "undecided", 2),
        ({"changes": (replace(CHANGE, new=False),)}, "nothing", 0),
        ({"changes": (replace(CHANGE, accepted="fine"),)}, "nothing", 0),
        ({"changes": (replace(CHANGE, worse=False),)}, "nothing", 0),
    ],
)
def test_the_exit_code_says_what_the_night_found(change, level, code):
    report = replace(REPORT, **change)
    assert (report.level, report.exit_code) == (level, code)
    assert report.headline


def test_json_holds_all_of_it_and_no_infinity():
    change = replace(CHANGE, ratio=math.inf, high=math.inf)
    report = replace(REPORT, changes=(change,), undecided=((SUSPECT, "why"),))
    told = json.loads(writing.as_json(report), parse_constant=pytest.fail)
    assert told["exit_code"] == 1
    assert told["changes"][0]["candidates"][0]["subject"] == CULPRIT.subject
    assert told["changes"][0]["ratio"] is None
    assert told["undecided"][0]["reason"] == "why"


def test_the_feed_is_atom_with_an_entry_that_keeps_its_identity():
    feed = ET.fromstring(writing.atom("Lab", "https://lab.example.org/n/", [CHANGE], START))
    atom = f"{{{writing.ATOM}}}"
    assert [each.text for each in feed.iter(f"{atom}id")][-1] == "urn:uuid:1"
    entry = feed.find(f"{atom}entry")
    assert entry.find(f"{atom}title").text == f"{CHANGE.variant} +21.2% on pixel-8"
    assert entry.find(f"{atom}author/{atom}name").text == "Ada"
    assert entry.find(f"{atom}link").get("href") == "https://lab.example.org/n/report.md"
    assert "Fold less" in entry.find(f"{atom}content").text


def test_control_characters_of_a_subject_do_not_break_the_feed():
    evil = replace(CHANGE, candidates=(replace(CULPRIT, subject="a\x00\x1b]]><x>"),))
    ET.fromstring(writing.atom("Lab", "", [evil], START))


def test_improvements_are_no_entries_of_the_feed():
    feed = ET.fromstring(writing.atom("Lab", "", [replace(CHANGE, worse=False)], START))
    assert feed.find(f"{{{writing.ATOM}}}entry") is None


def test_the_report_is_written_under_its_names_and_its_date(tmp_path):
    paths = writing.write(REPORT, tmp_path / "nightly", "", [CHANGE])
    assert {path.name for path in paths} == {
        "report.md", "report.json", "feed.atom", "2026-03-01-220000.md",
    }  # fmt: skip
    assert all(path.stat().st_size for path in paths)
