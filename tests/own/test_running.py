import pytest

from mobileopt.errors import CombinationError, InputError
from mobileopt.own import running


def test_whatever_is_raised_becomes_one_printable_sentence():
    with (
        pytest.raises(InputError, match=r"^it failed: RuntimeError: first\?\[31m$"),
        running.sentence("it failed"),
    ):
        raise RuntimeError("\n first\x1b[31m\nsecond")


def test_an_error_of_ours_is_passed_on():
    with pytest.raises(CombinationError, match=r"^as it was$"), running.sentence("it failed"):
        raise CombinationError("as it was")


def test_ctrl_c_is_passed_on():
    with pytest.raises(KeyboardInterrupt), running.sentence("it failed"):
        raise KeyboardInterrupt
