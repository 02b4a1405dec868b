import pytest

from mobileopt.commits import order
from mobileopt.errors import InputError
from mobileopt.nightly.repository import fetch
from nightly.laboratory import commit, git, repository


def test_the_line_follows_first_parents_from_the_oldest(tmp_path):
    made = repository(tmp_path / "r", 3)
    git(tmp_path / "r", "checkout", "-q", "-b", "side", made[1])
    side = commit(tmp_path / "r", 9)
    git(tmp_path / "r", "checkout", "-q", "main")
    git(tmp_path / "r", "merge", "-q", "--no-ff", "-m", "Merge", "side")
    merged = git(tmp_path / "r", "rev-parse", "HEAD")
    assert order(tmp_path / "r", "main", first_parent=True) == (*made, merged)
    assert order(tmp_path / "r", "side", first_parent=True)[-1] == side


def test_a_branch_that_is_not_there_is_one_sentence(tmp_path):
    repository(tmp_path / "r", 1)
    with pytest.raises(InputError, match="'maim' is no commit"):
        order(tmp_path / "r", "maim", first_parent=True)


def test_new_commits_of_a_remote_are_fetched(tmp_path):
    repository(tmp_path / "r", 1)
    git(tmp_path, "clone", "-q", str(tmp_path / "r"), str(tmp_path / "clone"))
    new = commit(tmp_path / "r", 1)
    assert fetch(tmp_path / "clone", "origin") == ""
    assert order(tmp_path / "clone", "origin/main", first_parent=True)[-1] == new


@pytest.mark.parametrize("remote", ["nowhere", "--upload-pack=touch evil"])
def test_a_remote_that_cannot_be_fetched_is_a_sentence(tmp_path, remote):
    repository(tmp_path / "r", 1)
    assert "could not be fetched" in fetch(tmp_path / "r", remote)
    assert not (tmp_path / "evil").exists()


def test_no_remote_is_nothing_to_do(tmp_path):
    assert fetch(tmp_path, "") == ""
