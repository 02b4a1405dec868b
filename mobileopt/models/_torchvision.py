"""Torchvision's classifiers as model files of three lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from mobileopt.errors import CapabilityError, InputError


def builder(name: str) -> Callable[..., nn.Module]:
    """A ``build`` for torchvision's model `name`."""

    def build(weights: str | None = None) -> nn.Module:
        models = _models()
        try:
            return models.get_model(name, weights=weights)
        except (OSError, RuntimeError) as error:  # no network, or a damaged download
            raise CapabilityError(
                f"the weights {weights!r} of {name} cannot be had here ({error}); without "
                "--weights the model gets seeded ones"
            ) from error
        except (KeyError, ValueError) as error:
            known = ", ".join([*models.get_model_weights(name).__members__, "DEFAULT"])
            raise InputError(f"{name} has no weights {weights!r}; it has {known}") from error

    return build


def _models() -> Any:
    # A CPU build of torch beside the registry's torchvision fails in its first operator.
    try:
        from torchvision import models
    except (ImportError, RuntimeError) as error:
        raise CapabilityError(
            f"torchvision does not fit the installed torch ({error}); install the pair of "
            "constraints/torch-2.12.txt"
        ) from error
    return models
