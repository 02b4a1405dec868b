import math

from tuning.races import candidate

from mobileopt.tuning.candidates import Candidate, Limits, preference
from mobileopt.variant import Recipe

LIMITS = Limits(min_sqnr=20, max_size=5e6)


def test_what_keeps_the_limits_is_divided_from_what_does_not_with_the_reason():
    good, noisy, large = candidate("a", size=5_000_000), candidate("b", 12, 1), candidate("c")
    kept, left_out = LIMITS.divide([good, noisy, large])
    assert kept == (good,)
    assert left_out == {noisy: ("min_sqnr",), large: ("max_size",)}


def test_a_candidate_can_miss_both_limits():
    assert LIMITS.unmet(candidate("a", 19.9, 5_000_001)) == ("min_sqnr", "max_size")


def test_an_exact_candidate_keeps_any_floor():
    assert not Limits(min_sqnr=300).unmet(candidate("a", math.inf))


def test_without_a_size_limit_none_is_too_large():
    assert not Limits().unmet(candidate("a", size=10**12))


def test_the_closest_misses_the_fewest_limits_by_the_least():
    both, far, near = candidate("a", 19, 5_000_001), candidate("b", 8, 1), candidate("c", 15, 1)
    assert LIMITS.closest([both, far, near]) == near


def test_among_the_equally_fast_fidelity_goes_before_size_before_simplicity():
    simple, plain = Recipe(), Recipe("fused", layout="nhwc")
    ordered = [
        Candidate(plain, 104.2, 9_000_000),
        Candidate(plain, 30.0, 3_000_000),
        Candidate(simple, 30.0, 4_000_000),
        Candidate(plain, 30.0, 4_000_000),
    ]
    assert sorted([ordered[at] for at in (2, 0, 3, 1)], key=preference) == ordered


def test_an_accident_of_rounding_is_no_higher_fidelity_and_of_names_no_smaller_file():
    simple = Candidate(Recipe(), 118.1, 4_010_000)
    assert preference(simple) < preference(Candidate(Recipe("fused"), 118.3, 4_000_000))


def test_two_exact_candidates_are_told_apart_by_size():
    small = Candidate(Recipe("fused"), 240.0, 1_000_000)
    assert preference(small) < preference(Candidate(Recipe(), math.inf, 2_000_000))
