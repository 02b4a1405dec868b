"""Collecting: the variants of a commit measured on phones, into the store.

order = Order(store=..., commit=resolve(repository, "HEAD"), variants=..., ...)
outcomes = Collection(order, watch).run([(found.device, found.phone) for found in ...])
"""

from mobileopt.collection.collector import Collection
from mobileopt.collection.exports import Commit, resolve
from mobileopt.collection.order import (
    FAILED,
    PRESENT,
    SKIPPED,
    STORED,
    Event,
    Order,
    Outcome,
)

__all__ = [
    "FAILED",
    "PRESENT",
    "SKIPPED",
    "STORED",
    "Collection",
    "Commit",
    "Event",
    "Order",
    "Outcome",
    "resolve",
]
