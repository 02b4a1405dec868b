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
