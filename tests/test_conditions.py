import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.conditions import ALLOCATORS, HOST, INPUTS, Memory, environment
from mobileopt.errors import InputError, UnknownNameError

memories = st.builds(Memory, st.sampled_from(sorted(INPUTS)), st.sampled_from(sorted(ALLOCATORS)))


@given(memories)
def test_a_memory_condition_reads_back_what_it_prints(memory):
    assert Memory.parse(str(memory)) == memory


def test_the_usual_condition_of_a_host_is_one_input_and_memory_that_stays():
    assert str(HOST) == "reused-kept"


@pytest.mark.parametrize("text", ["fresh", "fresh-kept-more", "", "-"])
def test_other_than_two_words_are_refused(text):
    with pytest.raises(InputError):
        Memory.parse(text)


def test_an_unknown_word_names_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown allocator 'kep', did you mean 'kept'"):
        Memory.parse("fresh-kep")


def test_the_platforms_allocator_has_no_thresholds_even_if_this_process_has(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.setenv("PATH", os.environ["PATH"])
    found = environment(memory=Memory("reused", "default"))
    assert not [name for name in found if name.startswith("MALLOC_")]
    assert found["OMP_NUM_THREADS"] == "1"
    assert found["PATH"] == os.environ["PATH"]
