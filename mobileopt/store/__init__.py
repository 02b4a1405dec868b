"""The result store: asv's format, safe for several writers, read as a pandas frame.

`Store` reads and writes; `install` makes asv's own saves go the same way.
"""

from mobileopt.store.asv_saves import install
from mobileopt.store.entry import Benchmark, Entry, Environment
from mobileopt.store.files import StoreWarning
from mobileopt.store.problems import Problem
from mobileopt.store.store import Store

__all__ = [
    "Benchmark",
    "Entry",
    "Environment",
    "Problem",
    "Store",
    "StoreWarning",
    "install",
]
