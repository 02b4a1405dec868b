import inspect

from mobileopt import errors


def test_every_error_derives_from_one_and_stands_in_the_tree():
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    own = [each for each in found if each.__module__ == errors.__name__]
    assert own
    for each in own:
        assert issubclass(each, errors.MobileoptError)
        assert each.__name__ in (errors.__doc__ or "")


def test_an_unknown_name_is_told_with_the_nearest_and_all_known_ones():
    error = errors.UnknownNameError("layout", "nchv", ["nchw", "nhwc"])
    assert str(error) == "unknown layout 'nchv', did you mean 'nchw'? Known: nchw, nhwc"


def test_a_name_like_no_other_gets_no_guess():
    error = errors.UnknownNameError("layout", "zzz", ["nchw", "nhwc"])
    assert str(error) == "unknown layout 'zzz'. Known: nchw, nhwc"
