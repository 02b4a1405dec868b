import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt import reference
from mobileopt.errors import InputError, UnknownNameError
from mobileopt.reference import InputSpec

KNOWN = ["resnet18", "mlp"]
DTYPES = ["float32", "float16", "int64", "uint8", "bool"]
identifiers = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
paths = st.lists(identifiers, min_size=1, max_size=3).map(".".join)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("resnet18", "known"),
        ("nets:make", "factory"),
        ("my.nets:Zoo.small", "factory"),
        ("net.pt2", "program"),
        ("/a b/net.pt2", "program"),
    ],
)
def test_a_model_is_one_of_ours_a_factory_or_a_program(model, kind):
    assert reference.kind(model, KNOWN) == kind


def test_a_file_of_weights_alone_is_told_what_to_add():
    with pytest.raises(InputError, match=r"add the architecture .* --weights best.pt --input"):
        reference.kind("best.pt", KNOWN)


@pytest.mark.parametrize(
    "model",
    ["a b:c", "$(touch x):make", "nets:make()", "../up:make", "a:b:c", "nets:", ":x", "é:x"],
)
def test_what_only_looks_like_a_factory_is_told_how_one_is_written(model):
    with pytest.raises(InputError, match=r"write it as mypackage\.nets:make"):
        reference.kind(model, KNOWN)


def test_any_other_name_is_unknown_with_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        reference.kind("resnet81", KNOWN)


@given(paths, paths, paths, paths)
def test_two_factories_never_share_a_name(module, name, other_module, other_name):
    one, other = f"{module}:{name}", f"{other_module}:{other_name}"
    assert (reference.name(one) == reference.name(other)) == (one == other)


def test_a_program_is_named_after_its_file():
    assert reference.name("some folder/net.v2.pt2") == "net.v2"


def test_a_name_can_be_chosen():
    assert reference.name("nets:make", "small") == "small"


@pytest.mark.parametrize("model", ["my net.pt2", "..pt2", "a/é.pt2", "x\n.pt2", f"{'x' * 101}.pt2"])
def test_a_file_whose_name_can_name_nothing_is_told_of_the_option(model):
    with pytest.raises(InputError, match="give it one with --name"):
        reference.name(model)


@pytest.mark.parametrize("chosen", ["../up", "a b", "-x", "a/b", "."])
def test_a_chosen_name_that_could_leave_a_folder_is_refused(chosen):
    with pytest.raises(InputError, match="is not a name of letters"):
        reference.name("nets:make", chosen)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.sampled_from(DTYPES))
def test_an_input_parses_back_from_what_it_prints(shape, dtype):
    spec = InputSpec(tuple(shape), dtype, below=7 if dtype.startswith("int") else 2)
    assert InputSpec.parse(str(spec)) == spec


def test_an_input_is_float32_and_whole_numbers_stay_below_two_unless_said():
    assert InputSpec.parse("1,3,4") == InputSpec((1, 3, 4), "float32")
    assert InputSpec.parse("1,16:int64") == InputSpec((1, 16), "int64", 2)
    assert InputSpec.parse("1,16:int64:100") == InputSpec((1, 16), "int64", 100)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,3x4", "is not a shape"),
        ("", "is not a shape"),
        ("1,,3", "is not a shape"),
        ("-1,3", "is not a shape"),
        ("1:int64:2:3", "is not a shape"),
        ("1,3:float17", "no known dtype; known: float32"),
        ("0,3", "has 0 elements"),
        ("99999,99999", "9999800001 elements"),
        ("1,3:float32:5", "has a bound"),
        ("1,3:int64:0", "has a bound"),
        ("1,3:int64:x", "has a bound"),
    ],
)
def test_a_wrong_input_is_told_with_how_one_is_written(text, sentence):
    with pytest.raises(InputError, match=f"{sentence}.*write it as 1,3,224,224"):
        InputSpec.parse(text)
