"""The quantized engine, which torch keeps as one setting for the whole process.

An artifact converted under one engine and run under another answers something else without a
word, so converting, loading and running all happen inside `engine(...)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mobileopt import capabilities
from mobileopt.errors import CapabilityError

_BACKEND: Any = torch.backends.quantized


@contextmanager
def engine(name: str | None) -> Iterator[None]:
    """Run the block under an engine and put the old one back; None changes nothing.

    Raises CapabilityError when this torch lacks the engine.
    """
    if name is None:
        yield
        return
    if reason := capabilities.quantized_engine(name):
        raise CapabilityError(reason)
    before = _BACKEND.engine
    _BACKEND.engine = name
    try:
        yield
    finally:
        _BACKEND.engine = before
