"""What a night says of what it found."""

import dataclasses

import pytest

from mobileopt.errors import InputError
from mobileopt.nightly import reporting
from nightly.laboratory import (
    Laboratory,
    git,
    mark_told,
)


@pytest.fixture
def lab(tmp_path):
    return Laboratory(tmp_path / "lab")


ACCEPTED = """
[[accepted]]
metric = "latency.time_forward"
variant = "mlp/*"
up_to = 1.35
reason = "it answers better now"
expires = 2999-01-01
"""


def accept(lab, text):
    folder = lab.folder / "clone"
    (folder / "mobileopt-accepted.toml").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Accept")
    lab.commits.append(git(folder, "rev-parse", "HEAD"))


def test_a_change_that_was_told_is_not_new_again(lab):
    lab.slow(6)
    assert lab.night().exit_code == 1
    assert lab.night().exit_code == 1  # nobody was told yet
    mark_told(lab)
    again = lab.night()
    assert again.exit_code == 0
    assert [each.candidates[0].hash for each in again.known] == [lab.commits[6]]


def test_a_slowdown_that_somebody_accepted_is_no_alarm(lab):
    lab.slow(6)
    accept(lab, ACCEPTED)
    report = lab.night()
    assert (report.exit_code, report.regressions) == (0, ())
    assert [each.accepted for each in report.accepted] == ["it answers better now"]


def test_what_is_accepted_is_what_the_branch_says_and_not_what_is_checked_out(lab):
    lab.slow(6)
    accept(lab, ACCEPTED)
    git(lab.folder / "clone", "checkout", "-q", "--detach", lab.commits[0])
    config = lab.config()
    followed = dataclasses.replace(config.repository, branch="main")
    assert lab.night(dataclasses.replace(config, repository=followed)).accepted


def test_an_improvement_is_told_and_is_no_alarm(lab):
    lab.slow(5, size=0.7)
    report = lab.night()
    assert report.exit_code == 0
    assert [each.candidates[0].hash for each in report.improvements] == [lab.commits[5]]


def test_a_newest_commit_without_results_is_not_called_good(lab):
    lab.fault = lambda job: ("commit", "no") if job.commit == lab.commits[-1] else ("", "")
    report = lab.night()
    assert report.exit_code == 2
    assert "could not tell" in report.headline


def test_a_phone_that_is_not_there_is_told_until_it_is_in_quarantine(tmp_path):
    lab = Laboratory(tmp_path / "lab")
    lab.gone = {"R58M": "it is offline; unplug it and plug it in again"}
    for _ in range(3):
        report = lab.night()
        assert report.exit_code == 2
        assert any("R58M cannot be used: it is offline" in each for each in report.warnings)
    report = lab.night()
    assert report.exit_code == 2
    assert report.headline.endswith("the newest commit, R58M in quarantine")
    assert [row.note for row in report.machines][1].startswith("in quarantine: it is offline")
    assert any("R58M is in quarantine: it is offline" in each for each in report.warnings)


def test_a_broken_accepted_file_is_told_before_anything_is_measured(lab):
    accept(lab, "[[accepted]]\n")
    with pytest.raises(InputError):
        lab.night()
    assert lab.measured() == []


def test_whatever_is_wrong_with_the_histories_what_was_confirmed_is_told(lab, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(reporting.history, "collect", broken)
    lab.slow(6)
    report = lab.night()
    assert report.exit_code == 1
    assert "the histories were not analysed: ZeroDivisionError: oh" in report.warnings
