import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from mobileopt import capabilities
from mobileopt.backends import executorch
from mobileopt.errors import ArtifactError, CapabilityError, CombinationError, InputError
from mobileopt.optimizations import convert_channels_last

pytestmark = pytest.mark.skipif(executorch.missing() is not None, reason=str(executorch.missing()))


class Net(nn.Module):
    """A convolution that XNNPACK takes and a running sum that it does not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(torch.cumsum(self.conv(x)[:, :3], 1)).relu()


def net():
    torch.manual_seed(0)
    return Net().eval()


def image(**options):
    values = torch.randn(1, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    return values.contiguous(**options)


@pytest.fixture(scope="module")
def exported():
    return executorch.export(net(), (image(),))


@pytest.fixture
def program(exported, tmp_path):
    path = tmp_path / "model.pte"
    path.write_bytes(exported.data)
    return path


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_program_answers_as_the_module_did_in_either_layout(layout, tmp_path):
    module, x = net(), image(memory_format=layout)
    path = tmp_path / "model.pte"
    with torch.no_grad():
        path.write_bytes(executorch.export(module.to(memory_format=layout), (x,)).data)
        torch.testing.assert_close(executorch.load(path)(x), module(x))


def test_a_model_that_makes_its_input_channels_last_itself_answers_as_before(tmp_path):
    module = convert_channels_last.apply(net(), (image(),), inside=True).module
    path = tmp_path / "model.pte"
    with torch.no_grad():
        path.write_bytes(executorch.export(module, (image(),)).data)
        torch.testing.assert_close(executorch.load(path)(image()), net()(image()))


def test_an_input_in_another_layout_is_refused_not_read_in_the_wrong_order(program):
    forward = executorch.load(program)
    with pytest.raises(InputError, match=r"input 0 of the program must be torch.contiguous_format"):
        forward(image(memory_format=torch.channels_last))


def test_the_report_counts_what_was_delegated_and_names_what_was_not(exported):
    assert exported.delegation.partitions == 2
    assert exported.delegation.delegated >= 3
    assert exported.delegation.left["aten.cumsum.default"] == 1
    assert not any("conv" in name for name in exported.delegation.left)


def test_exporting_leaves_the_module_as_it_was():
    module = net().to(memory_format=torch.channels_last)
    executorch.export(module, (image(),))
    assert module.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_an_output_stays_as_it_is_when_the_program_runs_again(program):
    forward = executorch.load(program)
    first = forward(image())
    kept = first.clone()
    forward(-image())
    assert torch.equal(first, kept)


def threads():
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux does")
def test_a_program_runs_on_one_thread(program):
    runtime = capabilities.executorch_runtime()
    runtime._unsafe_reset_threadpool(3)
    before = threads()
    executorch.load(program)(image())
    assert runtime._threadpool_get_thread_count() == 1
    assert threads() == before - 2


def test_loading_says_nothing_when_all_is_well(program, capfd):
    executorch.load(program)(image())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", [lambda data: b"x" * 100, lambda data: data[:2000]])
def test_a_damaged_program_is_refused_in_one_sentence(damage, exported, tmp_path):
    path = tmp_path / "model.pte"
    path.write_bytes(damage(exported.data))
    with pytest.raises(ArtifactError, match=r"ExecuTorch cannot load model\.pte: ") as caught:
        executorch.load(path)
    assert "\n" not in str(caught.value)


def test_loading_a_program_does_not_import_the_exporter(program):
    # It would be counted as the program's memory.
    code = (
        f"import sys; from pathlib import Path; from mobileopt.backends import executorch;"
        f"executorch.load(Path({str(program)!r}));"
        "sys.exit('executorch.exir' in sys.modules or 'torchao' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_that_cannot_be_exported_is_refused_in_one_sentence():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(CombinationError, match=r"torch\.export cannot export the model") as caught:
        executorch.export(Branches(), (image(),))
    assert "\n" not in str(caught.value)


def test_without_executorch_the_pip_line_is_told(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "executorch.extension.pybindings._portable_lib", None)
    for call in (lambda: executorch.export(net(), (image(),)), lambda: executorch.load(tmp_path)):
        with pytest.raises(CapabilityError, match=r"pip install 'mobileopt\[executorch\]'"):
            call()
