"""What torch 2.12 and what exports with it say of themselves is silenced, and nothing else."""

import logging
import subprocess
import sys
import warnings

import pytest

from mobileopt.torch_warnings import silence_known_warnings

SAID = (
    ("torch.ao.quantization is deprecated and will be removed in 2.10. \nFor", DeprecationWarning),
    ("`torch.jit.script` is deprecated. Please switch to `torch.compile`", DeprecationWarning),
    ("`torch.jit.trace` is not supported in Python 3.14+ and may break.", DeprecationWarning),
    ("Lite Interpreter is deprecated. Please consider switching to Exec", DeprecationWarning),
    ("TypedStorage is deprecated. It will be removed in the future", UserWarning),
    ("Please use quant_min and quant_max to specify the range", UserWarning),
    ("The TorchScript type system doesn't support instance-level", UserWarning),
    ("must run observer before calling calculate_qparams. Returning", UserWarning),
    ("read_binary is deprecated. Use files() instead. Refer to", DeprecationWarning),
    ("open_text is deprecated. Use files() instead. Refer to", DeprecationWarning),
)
PYTREE = logging.getLogger("torch.utils._pytree")


@pytest.fixture
def silenced():
    filters = PYTREE.filters[:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        silence_known_warnings()
        yield
    PYTREE.filters[:] = filters


@pytest.mark.parametrize(("message", "category"), SAID)
def test_what_torch_says_of_its_own_age_is_silenced(silenced, message, category):
    warnings.warn(message, category, stacklevel=1)


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("torch.ao.quantization has lost an operator", DeprecationWarning),
        ("torch.ao.quantization is deprecated", UserWarning),
        ("`torch.jit.script` failed", DeprecationWarning),
        ("your code: Lite Interpreter is deprecated", DeprecationWarning),
        ("write_binary is deprecated", DeprecationWarning),
    ],
)
def test_any_other_warning_is_still_heard(silenced, message, category):
    with pytest.raises(category, match=message.split(":")[0]):
        warnings.warn(message, category, stacklevel=1)


def test_of_what_torch_logs_one_line_is_dropped(silenced):
    def passes(text, *words):
        return PYTREE.filter(logging.LogRecord("x", logging.WARNING, "x.py", 1, text, words, None))

    assert not passes("Calling %s on Enum is a no-op", "register_constant()")
    assert passes("a tree has no leaves")


def test_silencing_twice_is_the_same_as_once(silenced):
    before = warnings.filters[:], PYTREE.filters[:]
    silence_known_warnings()
    assert (warnings.filters, PYTREE.filters) == before


def test_nothing_of_torch_is_imported_to_silence_it():
    program = (
        "import sys; from mobileopt.torch_warnings import silence_known_warnings;"
        "silence_known_warnings(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
