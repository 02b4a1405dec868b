import torch

from mobileopt.own.inputs import maker
from mobileopt.reference import InputSpec


def test_inputs_have_the_shapes_dtypes_and_bounds_that_were_said():
    rows, image = maker([InputSpec((2, 1000), "int64", 30), InputSpec((1, 4, 6, 8), "float16")])()
    assert (rows.shape, rows.dtype) == ((2, 1000), torch.int64)
    assert rows.min() == 0
    assert rows.max() == 29
    assert (image.shape, image.dtype) == ((1, 4, 6, 8), torch.float16)


def test_inputs_depend_on_the_seed_and_their_place():
    make = maker([InputSpec((1, 8)), InputSpec((1, 8))])
    (one, two), (again, _), (other, _) = make(seed=1), make(seed=1), make(seed=2)
    assert torch.equal(one, again)
    assert not torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_batch_makes_the_first_dimension_longer():
    make = maker([InputSpec((2, 3, 8, 8)), InputSpec((5,), "bool")])
    assert [tuple(each.shape) for each in make(batch=3)] == [(6, 3, 8, 8), (15,)]
