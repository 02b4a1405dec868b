from __future__ import annotations

import torch
from torch import nn

from mobileopt.optimizations._checking import difference, error, fault


def test_what_differs_by_rounding_alone_is_the_same():
    x = torch.randn(100)
    assert difference({"a": [x, (1, None)]}, {"a": [x * (1 + 1e-6), (1, None)]}) is None


def test_a_value_that_is_off_is_named_with_its_place_and_size():
    found = difference({"a": [torch.ones(4)]}, {"a": [torch.full((4,), 1.5)]})
    assert found == "differs in output['a'][0]: relative error 5.0e-01"


def test_a_fold_of_tiny_outputs_is_judged_by_their_size():
    assert difference(torch.full((4,), 1e-15), torch.full((4,), 2e-15)) is not None


def test_another_form_dtype_shape_or_integer_is_a_difference():
    x = torch.ones(2, dtype=torch.int64)
    assert difference([x], {"a": x}) == "has outputs [\"['a']\"] instead of ['[0]']"
    assert difference(x, x + 1) == "differs in output: another value"
    assert "instead of (2,) of torch.int64" in str(difference(x, x.float()))
    assert "instead of (2,)" in str(difference(x.float(), torch.ones(3)))
    assert difference(1, 2) == "differs in output: 2 instead of 1"


def test_infinities_and_nans_in_the_same_places_are_the_same():
    x = torch.tensor([1.0, float("inf"), float("nan")])
    assert difference(x, x.clone()) is None
    assert difference(x, torch.tensor([1.0, float("nan"), float("inf")])) is not None


def test_the_error_is_the_largest_of_all_outputs():
    x = torch.ones(4)
    assert abs(error([x, x, 3], [x, x * 1.1, 3]) - 0.1) < 1e-6


class Sorted(nn.Module):
    """Which of two equal scores comes first is decided by rounding, as in a detector."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([scale, 1.0]))

    def forward(self, x):
        return (x * self.scale).argsort(descending=True), x


def test_what_rounding_decides_is_decided_in_float64():
    x = torch.tensor([1.0, 1.0 + 1e-7])
    first, second = Sorted(1.0), Sorted(1.0 + 5e-8)
    assert fault(first, second, (x,), first(x)) is None
    wrong = Sorted(1.1)
    assert fault(first, wrong, (x,), first(x)) == "differs in output[0]: another value"


def test_a_model_that_no_longer_runs_is_at_fault():
    model = nn.Linear(2, 2)
    clause = fault(model, nn.Linear(3, 2), (torch.ones(1, 2),), model(torch.ones(1, 2)))
    assert str(clause).startswith("does not run: ")
