import numpy as np
import pytest
import torch

from mobileopt.errors import InputError
from mobileopt.own import data

EXAMPLE = (torch.zeros(1, 3, 16, 16),)


def image(seed: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    torch.save(image(1), tmp_path / "images" / "a.pt")
    np.save(tmp_path / "images" / "b.npy", image(2, batch=4).numpy())
    torch.save((image(3),), tmp_path / "images" / "c.pt")
    (tmp_path / "images" / "README.txt").write_text("where they are from")
    return tmp_path / "images"


def test_the_files_of_a_folder_are_batches_in_the_order_of_their_names(folder):
    found = data.load(str(folder), EXAMPLE)
    expected = [image(1), image(2, batch=4), image(3)]
    assert all(torch.equal(a, b) for (a,), b in zip(found, expected, strict=True))
    assert found.source.startswith("folder:images:3:")


def test_the_source_changes_with_the_data(folder):
    before = data.load(str(folder), EXAMPLE).source
    assert data.load(str(folder), EXAMPLE).source == before
    torch.save(image(9), folder / "c.pt")
    assert data.load(str(folder), EXAMPLE).source != before


def test_a_callable_gives_batches():
    found = data.load("own_nets:batches", EXAMPLE)
    assert [len(batch[0]) for batch in found] == [2, 2, 2]
    assert found.source.startswith("callable:own_nets:batches:3:")


def test_a_stream_without_an_end_is_cut_and_its_random_numbers_are_seeded():
    one, other = data.load("own_nets:shuffled", EXAMPLE), data.load("own_nets:shuffled", EXAMPLE)
    assert len(one.batches) == data.MOST
    assert one.source == other.source


@pytest.mark.parametrize(
    ("named", "sentence"),
    [
        ("nowhere/at/all", "neither a folder nor a callable"),
        ("own_nets:nosuch", "has no 'nosuch'"),
        ("own_nets:one", "gives a int, not batches"),
        ("own_nets:pairs", "batch 0 of own_nets:pairs has 2 tensors, the model 1 inputs"),
        ("own_nets:failing", "failed while giving batches: OSError: the disk is gone"),
    ],
)
def test_what_gives_no_batches_is_one_sentence(named, sentence):
    with pytest.raises(InputError, match=sentence):
        data.load(named, EXAMPLE)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (torch.zeros(1, 3, 8, 8), r"is of shape \(1, 3, 8, 8\), the model takes \(1, 3, 16, 16\)"),
        (torch.zeros(3, 16, 16), r"is of shape \(3, 16, 16\)"),
        (torch.zeros(0, 3, 16, 16), r"is of shape \(0, "),
        (image(1).double(), r"is torch\.float64, the model takes torch\.float32"),
        (image(1) / 0, "holds values that are not finite"),
        ({"image": image(1)}, "is a dict, not a tensor"),
    ],
)
def test_a_batch_that_the_model_does_not_take_is_named(content, sentence, tmp_path):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InputError, match=f"a.pt {sentence}"):
        data.load(str(tmp_path), EXAMPLE)


@pytest.mark.parametrize("name", ["a.pt", "a.npy"])
def test_a_damaged_file_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"garbage")
    with pytest.raises(InputError, match=name):
        data.load(str(tmp_path), EXAMPLE)


def test_a_pickled_array_is_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"an": "object"}], dtype=object))
    with pytest.raises(InputError, match="not an array that numpy saved"):
        data.load(str(tmp_path), EXAMPLE)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="holds no batch"):
        data.load(str(tmp_path), EXAMPLE)


def test_the_name_of_a_folder_cannot_speak_to_a_terminal(tmp_path):
    evil = tmp_path / "\x1b[31mred"
    evil.mkdir()
    torch.save(image(1), evil / "a.pt")
    assert data.load(str(evil), EXAMPLE).source.startswith("folder:?[31mred:1:")


def test_batches_are_split_to_the_models_own_and_the_rest_is_left_out(folder):
    found = data.split(data.load(str(folder), EXAMPLE), (torch.zeros(2, 3, 16, 16),))
    assert [len(batch[0]) for batch in found] == [2, 2]
    with pytest.raises(InputError, match="are smaller than the model's of 8"):
        data.split(found, (torch.zeros(8, 3, 16, 16),))


def test_an_input_that_was_calibrated_with_is_not_judged_on(folder):
    everything = data.load(str(folder), EXAMPLE)
    one = data.Data("here", ((image(2, batch=4)[3:],),))
    with pytest.raises(InputError, match="batch 0 of here is in the calibration data as well"):
        data.check_apart(everything, one)
    data.check_apart(everything, data.Data("here", ((image(4),),)))
