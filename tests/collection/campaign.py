"""What the campaign of faults counts; printed at the end of a test run, by tests/conftest.py."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from mobileopt.collection import Order, Outcome
from mobileopt.store import Store
from tests.collection import lab

OLD, NEW = 0.5, 0.001001
"""Seconds: of the good results from before, and of what the lab's program measures."""


@dataclass
class Tally:
    """Faults injected, and what must not come of them."""

    injected: int = 0
    kills: int = 0
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def sizes(self) -> dict[str, int]:
        """How many of each, to be added up."""
        told = asdict(self)
        return {name: len(each) if isinstance(each, list) else each for name, each in told.items()}

    def check(self, order: Order, outcomes: tuple[Outcome, ...] | list[Outcome], what: str) -> None:
        """Every value is the one it must be: the new one where it was stored, else the old one."""
        values = lab.values(order)
        for each in outcomes:
            wanted = NEW if each.status == "stored" else OLD
            value = values.get((each.device, each.variant))
            if value is None or abs(value - wanted) > 2e-6:
                self.lost.append(f"{what}: {each.device} {each.variant} is {value}, not {wanted}")
        self.damaged += [f"{what}: {each}" for each in Store(order.store).verify()]
        assert (self.lost, self.damaged) == ([], [])

    def clean(self, what: str, *roots: Any) -> None:
        """Nothing is left on these phones."""
        self.left += [f"{what}: {each}" for root in roots for each in lab.leftovers(root)]
        assert self.left == []
