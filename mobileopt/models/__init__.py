"""The measured networks: one file each, named as the model.

A model file offers ``build(weights=None) -> nn.Module`` and
``example_inputs(batch=1, seed=0) -> tuple[Tensor, ...]``; `mobileopt.network.load` adds seeded
weights and calibrated BatchNorm, so that the same name gives the same bits in every process.
"""

from __future__ import annotations

from pkgutil import iter_modules


def names() -> list[str]:
    """The models there are, in alphabetical order. Imports none of them, nor torch."""
    return sorted(module.name for module in iter_modules(__path__) if module.name[0] != "_")
