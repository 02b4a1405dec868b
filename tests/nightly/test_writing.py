import json
import math
import xml.etree.ElementTree as ET
from dataclasses import asdict, replace
from datetime import UTC, datetime

import pytest

from mobileopt.commits import Commit
from mobileopt.nightly import writing
from mobileopt.nightly.report import Change, Report, Row
from mobileopt.nightly.suspects import Suspect
from mobileopt.report import feed

START = datetime(2026, 3, 1, 22, tzinfo=UTC)
CULPRIT = Commit("6" * 40, "Ada", datetime(2026, 3, 1, 12, tzinfo=UTC), "Fold less | <b>`rm`</b>")
CHANGE = Change(
    id="urn:uuid:1", machine="pixel-8", metric="latency.time_forward", unit="seconds",
    variant="mlp/fused-float-nchw-mobile", worse=True, candidates=(CULPRIT,), parent="5" * 40,
    ratio=1.212, low=1.19, high=1.23, how="session", sentence="the later commit is 21 % slower",
    confidence=0.96, before=0.01234, after=0.01502, found_at=START.timestamp(), new=True,
)  # fmt: skip
SUSPECT = Suspect(
    "pixel-8", "series", "latency.time_forward", "seconds", "mlp/unfused-float-nchw-mobile",
    "1" * 40, "4" * 40, "2" * 40, 0.01, 0.011, 4.0,
)  # fmt: skip
BETTER = replace(SUSPECT, after=0.009)
REPORT = Report(
    title="Lab", started=START, ended=START, tip="9" * 40, subject="The newest",
    machines=(Row("pixel-8", 3, has_tip=True),), changes=(CHANGE,),
)  # fmt: skip


def test_a_regression_stands_first_with_its_commit_author_size_and_confidence():
    text = writing.markdown(REPORT)
    assert text.startswith("# Lab: 1 regression from 1 commit\n")
    assert "### 66666666 Fold less" in text
    assert "by Ada, 2026-03-01 12:00 +0000" in text
    assert "| 12.3 ms | 15.0 ms | +21.2% | +19.0% to +23.0% (99%) | at least 96.0% |" in text


def test_a_command_is_one_line_whatever_a_machine_is_called():
    evil = replace(CHANGE, on_phone=True, machine="x\n```\nrm -rf; $(id)")
    text = writing.markdown(replace(REPORT, changes=(evil,)))
    assert text.count("\n```\n") == 2
    assert "--device 'x ``` rm -rf; $(id)' " in text


def test_the_history_is_a_link_where_the_site_has_an_address():
    assert "Its history" not in writing.markdown(REPORT)
    text = writing.markdown(replace(REPORT, address="https://lab.example.org/"))
    assert (
        "[Its history](https://lab.example.org/index.html#/series?benchmark=latency.time_forward"
        "&machine=pixel-8&p-model=%27mlp%27&p-recipe=%27fused-float-nchw-mobile%27)"
    ) in text


def test_mail_is_text_without_markup_and_with_the_same_figures():
    text = writing.text(replace(REPORT, address="https://lab.example.org", site="/srv/site"))
    assert text.startswith("Lab: 1 regression from 1 commit\n")
    for part in (
        "REGRESSIONS\n\n66666666 Fold less | <b>`rm`</b>\nby Ada, 2026-03-01 12:00 +0000\n",
        "  made fused-float-nchw-mobile of mlp 1.21 times as slow on pixel-8\n",
        "    12.3 ms before, 15.0 ms after\n",
        "    measured again: +21.2%, +19.0% to +23.0% (99%), confidence at least 96.0%\n",
        "  its history: https://lab.example.org/index.html#/series?benchmark=",
        "    mobileopt check --base 55555555 --head 66666666",
        "The site: https://lab.example.org\n",
    ):
        assert part in text
    assert "---|" not in text
    assert "\\" not in text


@pytest.mark.parametrize(
    ("environment", "phone"), [("phone-py3.11-torch2.12", True), ("env-1", False)]
)
def test_a_phone_is_told_from_a_host_by_where_its_results_are_filed(environment, phone):
    record = asdict(CHANGE) | {
        "series": f"latency.time_forward v1 {environment} mlp/fused-float-nchw-mobile",
        "candidates": [CULPRIT.hash], "at": 0.0,
    }  # fmt: skip
    read = Change.of(record, {CULPRIT.hash: CULPRIT}, new=True, accepted="")
    assert (read.on_phone, read.after) == (phone, CHANGE.after)


def test_a_commit_that_is_gone_is_still_one_commit():
    gone = replace(CHANGE, candidates=())
    assert replace(REPORT, changes=(gone,)).headline == "1 regression from 1 commit"
    text = writing.markdown(replace(REPORT, changes=(gone,)))
    assert "### a commit that is no longer in the repository" in text
    assert "To measure it again" not in text


def test_nothing_that_came_from_outside_is_markup():
    text = writing.markdown(REPORT)
    assert "<b>" not in text
    assert "`rm`" not in text
    control = replace(CHANGE, machine="evil\x1b[31m\n# heading")
    assert "\x1b" not in writing.text(replace(REPORT, changes=(control,)))
    assert "\x1b" not in writing.markdown(replace(REPORT, changes=(control,)))
    assert "\n# heading" not in writing.markdown(replace(REPORT, changes=(control,)))


@pytest.mark.parametrize(
    ("change", "level", "code"),
    [
        ({}, "regression", 1),
        ({"changes": ()}, "nothing", 0),
        ({"changes": (), "undecided": ((SUSPECT, "why"),)}, "undecided", 2),
        ({"changes": (), "undecided": ((BETTER, "why"),)}, "nothing", 0),
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
    told = ET.fromstring(writing.atom("Lab", "https://lab.example.org/n/", [CHANGE], START))
    atom = f"{{{feed.NAMESPACE}}}"
    assert [each.text for each in told.iter(f"{atom}id")][-1] == "urn:uuid:1"
    entry = told.find(f"{atom}entry")
    assert entry.find(f"{atom}title").text == f"{CHANGE.variant} +21.2% on pixel-8"
    assert entry.find(f"{atom}author/{atom}name").text == "Ada"
    assert entry.find(f"{atom}link").get("href") == "https://lab.example.org/n/report.md"
    assert "Fold less" in entry.find(f"{atom}content").text


def test_control_characters_of_a_subject_do_not_break_the_feed():
    evil = replace(CHANGE, candidates=(replace(CULPRIT, subject="a\x00\x1b]]><x>"),))
    ET.fromstring(writing.atom("Lab", "", [evil], START))


def test_improvements_are_no_entries_of_the_feed():
    told = ET.fromstring(writing.atom("Lab", "", [replace(CHANGE, worse=False)], START))
    assert told.find(f"{{{feed.NAMESPACE}}}entry") is None


def test_the_report_is_written_under_its_names_and_its_date(tmp_path):
    paths = writing.write(REPORT, tmp_path / "nightly", "", [CHANGE])
    assert {path.name for path in paths} == {
        "report.md", "report.json", "feed.atom", "2026-03-01-220000.md",
    }  # fmt: skip
    assert all(path.stat().st_size for path in paths)
