import json
import subprocess
import sys

import pytest

from mobileopt import recipes
from mobileopt.__main__ import main
from mobileopt.variant import SLOTS, Variant


@pytest.fixture
def listed(capsys):
    def listed(*options):
        assert main(["list", *options]) == 0
        return capsys.readouterr().out

    return listed


def test_list_names_models_and_words_without_importing_torch():
    program = (
        "import sys; from mobileopt.__main__ import main; main(['list', '--json']);"
        "assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert "mobilenet_v2" in listed["models"]
    assert "mobilenet_v2/fx-int8_qnnpack-nhwc-mobile" in listed["variants"]


def test_list_prints_a_variant_a_line(capsys):
    assert main(["list", "--variants"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "resnet18/unfused-float-nchw-eager" in lines


def test_every_variant_listed_can_be_asked_for_and_stands_once(listed):
    lines = listed("--variants").splitlines()
    assert len(set(lines)) == len(lines)
    assert [str(Variant.parse(line)) for line in lines] == lines
    for line in lines:
        recipes.check(Variant.parse(line).recipe)


def test_machines_are_told_the_same_variants_as_people(listed):
    document = json.loads(listed("--json"))
    assert document["variants"] == listed("--variants").splitlines()
    assert f"{len(document['variants'])} variants (--variants lists them)" in listed()


def test_every_word_is_listed_with_its_slot_and_its_meaning(listed):
    words = json.loads(listed("--json"))["words"]
    assert {each["slot"] for each in words} == set(SLOTS)
    assert len({(each["slot"], each["name"]) for each in words}) == len(words) == len(recipes.WORDS)
    assert all(each["meaning"] for each in words)


def test_the_table_shows_every_word_beside_its_slot(listed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    told = listed()
    assert "A recipe is one word of each slot: fusion-precision-layout-backend" in told
    rows = [[cell.strip() for cell in line.split("│")] for line in told.splitlines()]
    shown = [(row[1], row[2], row[3]) for row in rows if len(row) == 5]
    assert shown == [(word.slot, word.name, word.meaning) for word in recipes.WORDS]


def test_the_example_that_is_named_is_one_that_is_listed(listed):
    example = listed().split()[-1]
    assert example in listed("--variants").splitlines()
