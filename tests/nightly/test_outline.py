from dataclasses import replace
from datetime import timedelta

import pytest

from mobileopt.nightly import outline, writing
from mobileopt.nightly.report import Row
from nightly.test_writing import CHANGE, REPORT, SUSPECT

KNOWN = replace(CHANGE, new=False)
FULL = replace(
    REPORT, undecided=((SUSPECT, "a"),), refuted=((SUSPECT, "b"),), given_up=((SUSPECT, "c"),),
    left=("d",), warnings=("e",),
    changes=(replace(CHANGE, worse=False), replace(CHANGE, accepted="why"), KNOWN, CHANGE),
)  # fmt: skip


def test_what_was_left_undecided_and_refuted_is_told_with_its_reason():
    report = replace(
        REPORT, changes=(), undecided=((SUSPECT, "no time was left"),),
        refuted=((SUSPECT, "no difference larger than 0.4 %"),), left=("abc on pixel-8",),
        warnings=("origin could not be fetched",), site="/srv/site",
    )  # fmt: skip
    text = writing.markdown(report)
    assert text.startswith("# Lab: 1 suspicion could not be decided\n")
    for part in ("+10.0% at 22222222: no time was left", "no difference larger than 0.4 %",
                 "abc on pixel-8", "origin could not be fetched", "/srv/site"):  # fmt: skip
        assert part in text


def test_long_lists_are_cut_and_counted():
    text = writing.markdown(replace(REPORT, left=tuple(f"commit {n}" for n in range(25))))
    assert "commit 9" in text
    assert "commit 10" not in text
    assert "and 15 more, see report.json" in text


def test_what_somebody_has_to_act_on_stands_before_what_is_good_to_know():
    assert [each.heading.partition(",")[0] for each in outline.sections(FULL)] == [
        "Regressions", "Could not be decided", "Improvements", "Accepted", "Told before",
        "Machines", "Left for another night", "Suspected",
        "Given up: measured on several nights", "Warnings",
    ]  # fmt: skip


def test_every_change_stands_in_one_section():
    found = [each for each in outline.sections(FULL) if each.claims]
    assert [[len(claim.rows) for claim in each.claims] for each in found] == [[1]] * 4


def test_a_night_without_anything_to_tell_still_tells_of_its_machines():
    [only] = outline.sections(replace(REPORT, changes=()))
    assert only.lines == ("pixel-8: 3 commits measured, has the newest commit",)
    [only] = outline.sections(replace(REPORT, changes=(), machines=()))
    assert only.lines == ("No machine was there to measure on.",)


def test_a_machine_that_was_not_used_says_why():
    resting = Row("pixel-8", 0, has_tip=False, note="in quarantine: too hot")
    [only] = outline.sections(replace(REPORT, changes=(), machines=(resting,)))
    assert only.lines[0].endswith("lacks the newest commit; in quarantine: too hot")


def test_the_heading_names_the_night_and_the_commit_it_went_up_to():
    title, below = outline.head(replace(REPORT, ended=REPORT.started + timedelta(hours=8)))
    assert title == "Lab: 1 regression from 1 commit"
    assert below == "2026-03-01 22:00 to 06:00 UTC, newest commit 99999999 The newest"


@pytest.mark.parametrize(("count", "lines"), [(10, 10), (11, 11), (12, 11)])
def test_a_list_is_whole_as_long_as_it_has_ten_lines(count, lines):
    [_, left] = outline.sections(replace(REPORT, changes=(), left=("x",) * count))
    assert len(left.lines) == lines
    assert left.lines[9] == "x"
