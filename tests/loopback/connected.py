"""A loopback phone as a test sees it."""

from __future__ import annotations

from dataclasses import dataclass

from mobileopt.adb import Phone
from tests.loopback.adbd import Adbd
from tests.loopback.root import Root


@dataclass(frozen=True)
class Connected:
    """A phone from both sides: what runs it, its folder, and mobileopt's view of it."""

    adbd: Adbd
    root: Root
    phone: Phone
