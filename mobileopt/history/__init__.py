"""What got worse and what got better over the commits of a store, and how that stands now.

    changes = collect(Store("results"), repository=Path("."))
    for change in select(changes, state="open"):
        print(change.sentence())

Derived from the store alone; the repository adds the order of the commits and their subjects,
`mobileopt-accepted.toml` what was accepted.
"""

from mobileopt.history._judging import MIN_EFFECT, RETURNED, collect, judge, select
from mobileopt.history._reading import detectable, lowered, read
from mobileopt.history._values import (
    BETTER_STATES,
    WORSE_STATES,
    Change,
    Direction,
    Keyed,
    Lines,
    State,
    subject,
)

__all__ = [
    "BETTER_STATES",
    "MIN_EFFECT",
    "RETURNED",
    "WORSE_STATES",
    "Change",
    "Direction",
    "Keyed",
    "Lines",
    "State",
    "collect",
    "detectable",
    "judge",
    "lowered",
    "read",
    "select",
    "subject",
]
