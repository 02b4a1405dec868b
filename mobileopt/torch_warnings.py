"""The one place where torch's warnings about its own mobile and quantization stack are silenced.

They say that what this package measures is deprecated. That is why it is measured.
"""

from __future__ import annotations

import logging
import warnings
from functools import partial

KNOWN = (
    (r".*torch\.ao\.quantization is deprecated", DeprecationWarning),
    (r"`?torch\.jit\.\w+`? is (deprecated|not supported)", DeprecationWarning),
    ("Lite Interpreter is deprecated", DeprecationWarning),
    ("TypedStorage is deprecated", UserWarning),  # unpickling a quantized tensor
    ("Please use quant_min and quant_max", UserWarning),  # torch's own default observers
    ("The TorchScript type system doesn't support", UserWarning),  # scripting nnq.Linear
    ("must run observer before calling calculate_qparams", UserWarning),
    (r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning),  # ExecuTorch, torchao
    (r"The tensor attributes? self\.\S*_flat_weights", UserWarning),  # exporting an LSTM or GRU
    ("guard_size_oblivious will be removed", FutureWarning),  # ExecuTorch's tensors
    (
        r"(read|open)_(binary|text) is deprecated",
        DeprecationWarning,
    ),  # ExecuTorch reading its schemas
)


def _lacks(text: str, record: logging.LogRecord) -> bool:
    return text not in record.getMessage()


# One object a text, as a logger takes the same filter once.
_LOGGED = (
    ("torch.utils._pytree", partial(_lacks, "Calling register_constant() on Enum")),
)  # importing torchao


def silence_known_warnings() -> None:
    """Ignore the warnings of `KNOWN` in this process from now on."""
    for message, category in KNOWN:
        warnings.filterwarnings("ignore", message, category)
    for logger, lacks in _LOGGED:
        logging.getLogger(logger).addFilter(lacks)
