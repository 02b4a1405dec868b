"""The one place where torch's warnings about its own mobile and quantization stack are silenced.

They say that what this package measures is deprecated. That is why it is measured.
"""

from __future__ import annotations

import warnings

KNOWN = (
    (r".*torch\.ao\.quantization is deprecated", DeprecationWarning),
    (r"`?torch\.jit\.\w+`? is (deprecated|not supported)", DeprecationWarning),
    ("Lite Interpreter is deprecated", DeprecationWarning),
    ("TypedStorage is deprecated", UserWarning),  # unpickling a quantized tensor
    ("Please use quant_min and quant_max", UserWarning),  # torch's own default observers
    ("The TorchScript type system doesn't support", UserWarning),  # scripting nnq.Linear
    ("must run observer before calling calculate_qparams", UserWarning),
)


def silence_known_warnings() -> None:
    """Ignore the warnings of `KNOWN` in this process from now on."""
    for message, category in KNOWN:
        warnings.filterwarnings("ignore", message, category)
