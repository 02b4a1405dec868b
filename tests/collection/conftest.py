from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.collection.campaign import Tally


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """What one test counts; its report carries it to the end, also from another process."""
    counts = Tally()
    yield counts
    record_property("campaign", counts.sizes)
