"""The quantized engine, which torch keeps as one setting for the whole process.

An artifact converted under one engine and run under another answers something else without a
word, so converting, loading and running all happen inside `engine(...)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from mobileopt.errors import CapabilityError

_BACKEND: Any = torch.backends.quantized


def missing(name: str) -> str | None:
    """Why the engine cannot be used here, or None when it can."""
    available = [each for each in _BACKEND.supported_engines if each != "none"]
    if name in available:
        return None
    return f"this torch has no quantized engine {name!r}; it has {', '.join(available) or 'none'}"


@contextmanager
def engine(name: str | None) -> Iterator[None]:
    """Run the block under an engine and put the old one back; None changes nothing.

    Raises CapabilityError when this torch lacks the engine.
    """
    if name is None:
        yield
        return
    if reason := missing(name):
        raise CapabilityError(reason)
    before = _BACKEND.engine
    _BACKEND.engine = name
    try:
        yield
    finally:
        _BACKEND.engine = before
