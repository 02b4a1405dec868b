import pytest
import torch

from mobileopt import fidelity
from mobileopt.errors import ArtifactError


def test_the_same_answers_have_no_noise_and_agree():
    answers = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 1.0]])]
    found = fidelity.compare(answers, answers)
    assert (found.noise, found.top1_agreement, found.max_relative_error) == (0.0, 1.0, 0.0)
    assert found.inputs == 2


def test_noise_is_the_rms_of_the_error_over_that_of_the_reference():
    found = fidelity.compare([torch.tensor([[3.0, 4.0]])], [torch.tensor([[3.0, 4.5]])])
    assert found.noise == pytest.approx(0.5 / 5)
    assert found.max_relative_error == pytest.approx(0.5 / 4)


def test_agreement_counts_the_inputs_whose_largest_class_is_the_same():
    reference = [torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 2.0]])]
    answers = [torch.tensor([[0.0, 9.0]]), torch.tensor([[9.0, 0.0]])]
    assert fidelity.compare(reference, answers).top1_agreement == 0.5


def test_agreement_of_a_map_is_judged_at_every_position():
    reference = torch.zeros(1, 2, 1, 2)
    reference[0, 0] = 1
    answer = reference.clone()
    answer[0, 1, 0, 1] = 2
    assert fidelity.compare([reference], [answer]).top1_agreement == 0.5


def test_an_answer_of_another_shape_is_refused_with_both():
    with pytest.raises(ArtifactError, match=r"shape \(1, 3\), the original in \(1, 2\)"):
        fidelity.compare([torch.ones(1, 2)], [torch.ones(1, 3)])


def test_an_answer_that_is_not_finite_is_refused():
    with pytest.raises(ArtifactError, match="not finite"):
        fidelity.compare([torch.ones(1, 2)], [torch.tensor([[1.0, float("nan")]])])


def test_of_several_outputs_the_worst_counts_and_the_first_has_the_classes():
    reference = [{"score": torch.tensor([[1.0, 2.0]]), "scale": (torch.tensor(2.0), None)}]
    answers = [{"score": torch.tensor([[1.0, 2.0]]), "scale": (torch.tensor(1.0), None)}]
    found = fidelity.compare(reference, answers)
    assert (found.noise, found.max_relative_error) == (0.5, 0.5)
    assert found.top1_agreement == 1


def test_an_answer_with_another_number_of_tensors_is_refused():
    one = torch.ones(1, 2)
    with pytest.raises(ArtifactError, match="another number of tensors"):
        fidelity.compare([(one, one)], [(one,)])


def test_an_error_against_nothing_is_infinite_and_none_is_none():
    zeros, ones = [torch.zeros(1, 2)], [torch.ones(1, 2)]
    assert fidelity.compare(zeros, ones).noise == float("inf")
    assert fidelity.compare(zeros, zeros).noise == 0


def test_the_source_of_the_inputs_goes_with_the_judgement():
    ones = [torch.ones(1, 2)]
    assert fidelity.compare(ones, ones).source == "synthetic:2000"
    assert fidelity.compare(ones, ones, "folder:mine:1:abc").source == "folder:mine:1:abc"
