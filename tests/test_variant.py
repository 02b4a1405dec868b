import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobileopt.errors import InputError
from mobileopt.variant import BASELINE, Recipe, Variant

words = st.from_regex(r"[a-z0-9]+(_[a-z0-9]+)*", fullmatch=True).filter(lambda w: len(w) <= 64)
recipes = st.builds(Recipe, words, words, words, words)
models = st.from_regex(r"[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*", fullmatch=True).filter(
    lambda name: len(name) <= 100
)


@given(st.builds(Variant, models, recipes))
def test_a_variant_parses_back_from_what_it_prints(variant):
    assert Variant.parse(str(variant)) == variant


def test_a_variant_prints_its_model_and_the_four_words_in_order():
    variant = Variant("mobilenet_v2", Recipe("fx", "int8_qnnpack", "nhwc", "mobile"))
    assert str(variant) == "mobilenet_v2/fx-int8_qnnpack-nhwc-mobile"


@given(st.text())
def test_no_text_parses_to_a_variant_that_prints_differently(text):
    try:
        parsed = Variant.parse(text)
    except InputError:
        return
    assert str(parsed) == text


@pytest.mark.parametrize(
    "word", ["", "../up", "a.b", "A", "a__b", "_a", "a b", "a\n", "é", "x" * 65]
)
def test_a_word_that_could_leave_a_folder_or_break_a_name_is_refused(word):
    with pytest.raises(InputError, match="is not a name of lower-case letters"):
        Recipe(fusion=word)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../up", "a/b", "a..b", ".a", "-a", "a b", "a\n", "é", "a:b", "x" * 101]
)
def test_a_model_that_could_leave_a_folder_or_break_a_name_is_refused(name):
    with pytest.raises(InputError, match="is not a name of letters, digits and underscores"):
        Variant(name, BASELINE)


def test_a_recipe_of_three_words_is_refused_with_an_example():
    with pytest.raises(InputError, match=r"3 of the 4 words .* 'fx-float-nhwc-mobile'"):
        Recipe.parse("fx-float-nhwc")


def test_recipes_name_the_slots_in_which_they_differ():
    other = Recipe("fx", "float", "nchw", "mobile")
    assert other.differs_from(BASELINE) == ("fusion", "backend")


def test_the_baseline_of_a_variant_is_the_same_model_untouched():
    variant = Variant.parse("resnet18/fx-float-nhwc-mobile")
    assert str(variant.baseline) == "resnet18/unfused-float-nchw-eager"
