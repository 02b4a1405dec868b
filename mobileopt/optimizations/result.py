"""What every optimization returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn


@dataclass(frozen=True)
class Result:
    """A new module and an account of what was done to it.

    `changed` names what was changed (module paths of the input); `left` maps what could have
    been changed and was not to the reason, one sentence each. The input module is untouched.
    """

    module: nn.Module
    changed: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def folded(self) -> tuple[str, ...]:
        """`changed`, in the word the folding passes use for it."""
        return self.changed
