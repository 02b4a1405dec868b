"""Whatever a name holds, what passes is one component of a path, on every system."""

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mobileopt.errors import StoreError
from mobileopt.store import names

texts = st.text(max_size=12) | st.text("aZ1./\\: -_\0\n\u202e\ud800", max_size=12)


def passes(check, name):
    try:
        return check(name) == name
    except StoreError:
        return False


@given(st.sampled_from([names.check_machine, names.check_environment]), texts)
@example(names.check_machine, "..")
@example(names.check_environment, "c:x")
def test_what_passes_is_one_component_on_every_system(check, name):
    if passes(check, name):
        for system in (PurePosixPath, PureWindowsPath):
            assert system("store", name).parts == ("store", name)
        assert name == name.rstrip(". ")
        assert name.isprintable()


@given(texts)
@example("a..b")
def test_a_benchmark_that_passes_is_one_component_too(name):
    if passes(names.check_benchmark, name):
        assert PureWindowsPath("store", name).parts == ("store", name)
        assert name.isascii()


@pytest.mark.parametrize("name", ["pixel_8-08b884c5", "Lab 3 (left)", "py3.11-torch2.12", "機"])
def test_names_people_give_pass(name):
    assert names.check_machine(name) == names.check_environment(name) == name


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a\nb", "."])
def test_no_environment_name_leaves_its_folder(name):
    with pytest.raises(StoreError, match="environment"):
        names.check_environment(name)


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", "<script>", "a..b", "a\n", "aé"])
def test_no_benchmark_name_is_anything_but_dotted_words(name):
    with pytest.raises(StoreError, match="benchmark"):
        names.check_benchmark(name)


@pytest.mark.parametrize(
    "commit", ["", "abc", "A" * 40, "main", "a" * 41, "../../etc", "\u0661" * 40]
)
def test_only_full_commit_hashes_are_taken(commit):
    with pytest.raises(StoreError, match="full hash"):
        names.check_commit(commit)


@pytest.mark.parametrize("length", [40, 64])
def test_a_full_hash_of_either_kind_is_taken(length):
    assert names.check_commit("0a" * (length // 2)) == "0a" * (length // 2)


@pytest.mark.parametrize("check", [names.check_machine, names.check_environment])
def test_no_name_is_longer_than_a_file_system_takes(check):
    assert passes(check, "x" * 127)
    assert not passes(check, "機" * 100)


def test_a_long_environment_passes_because_asv_puts_a_digest_in_its_place():
    assert passes(names.check_environment, "x" * 5000)
    assert not passes(names.check_machine, "x" * 129)
