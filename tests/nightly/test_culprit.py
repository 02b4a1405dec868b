import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.nightly.culprit import candidates, last_good, next_commit, side


def search(commits, truth):
    """Ask until nothing is left; the answers given, in order."""
    sides = {}
    while (commit := next_commit(commits, sides)) is not None:
        assert commit not in sides
        sides[commit] = truth(commit)
    return sides


def span(length):
    return [f"c{n}" for n in range(length)]


@given(st.integers(2, 200), st.data())
def test_the_commit_is_found_in_a_logarithm_of_the_commits(length, data):
    commits = span(length)
    first_bad = data.draw(st.integers(1, length - 1))
    sides = search(commits, lambda c: "bad" if commits.index(c) >= first_bad else "good")
    assert candidates(commits, sides) == (commits[first_bad],)
    assert last_good(commits, sides) == commits[first_bad - 1]
    assert len(sides) <= math.ceil(math.log2(length))


@given(st.integers(2, 60), st.data())
def test_with_commits_that_do_not_build_the_right_one_is_always_among_what_is_left(length, data):
    commits = span(length)
    first_bad = data.draw(st.integers(1, length - 1))
    broken = data.draw(st.sets(st.sampled_from(commits[1:-1]))) if length > 2 else set()

    def truth(commit):
        if commit in broken:
            return "skip"
        return "bad" if commits.index(commit) >= first_bad else "good"

    sides = search(commits, truth)
    left = candidates(commits, sides)
    assert commits[first_bad] in left
    assert set(left[:-1]) <= broken


def test_two_neighbours_leave_nothing_to_try():
    assert next_commit(span(2), {}) is None
    assert candidates(span(2), {}) == ("c1",)


@pytest.mark.parametrize(
    ("low", "high", "effect", "expected"),
    [
        (0.99, 1.02, 1.21, "good"),
        (1.18, 1.24, 1.21, "bad"),
        (1.05, 1.15, 1.21, "skip"),
        (0.79, 0.82, 0.81, "bad"),
        (0.98, 1.01, 0.81, "good"),
        (0.0, math.inf, 1.21, "skip"),
    ],
)
def test_a_commit_lies_where_its_whole_interval_lies(low, high, effect, expected):
    assert side(low, high, effect) == expected
