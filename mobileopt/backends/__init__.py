"""Ways to run a model, one file each.

A backend offers ``SUFFIX`` of its file, ``missing() -> str | None`` (what this machine lacks for
it), ``export(module, example_inputs) -> Exported`` and ``load(path) -> callable``. Bytes, because
torch's own writer aborts the whole process when the disk is full.
"""

from __future__ import annotations

from dataclasses import dataclass

from mobileopt.artifact import Delegation


@dataclass(frozen=True)
class Exported:
    """The bytes of a backend's file, and for one that delegates, what it delegated."""

    data: bytes
    delegation: Delegation | None = None
