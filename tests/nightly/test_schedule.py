from hypothesis import given
from hypothesis import strategies as st

from mobileopt.nightly.schedule import inside, newest_first

COMMITS = [f"c{n:02}" for n in range(20)]


def test_the_newest_commits_without_results_come_newest_first():
    measured = {"c19", "c17"}
    assert newest_first(COMMITS, measured, newest=5) == ["c18", "c16", "c15"]


def test_a_commit_that_gave_nothing_twice_is_left():
    failed = {"c19": 2, "c18": 1}
    assert newest_first(COMMITS, set(), newest=2, failed=failed, attempts=2) == ["c18"]


def test_a_gap_is_split_in_the_middle_and_then_its_halves():
    assert inside(COMMITS, {"c00", "c16"}, [("c00", "c16")], 3) == ["c08", "c04", "c12"]


def test_two_gaps_take_turns():
    found = inside(COMMITS, {"c00", "c08", "c10", "c18"}, [("c00", "c08"), ("c10", "c18")], 2)
    assert found == ["c04", "c14"]


def test_neighbours_leave_nothing_to_split():
    assert inside(COMMITS, set(), [("c03", "c04")], 5) == []


def test_a_gap_of_commits_that_are_gone_is_passed_over():
    assert inside(COMMITS, set(), [("gone", "c04")], 5) == []


@given(
    st.integers(0, 19), st.integers(0, 19), st.integers(0, 20), st.sets(st.sampled_from(COMMITS))
)
def test_backfill_asks_only_for_what_lies_inside_and_is_not_measured(a, b, limit, measured):
    found = inside(COMMITS, measured, [(COMMITS[a], COMMITS[b])], limit)
    assert len(found) == len(set(found)) <= limit
    assert all(a < COMMITS.index(each) < b and each not in measured for each in found)
    if limit == 20:
        assert set(found) == set(COMMITS[a + 1 : b]) - measured
