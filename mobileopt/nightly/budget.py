"""How much time a night has, and whether another job fits into it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from mobileopt.errors import ConfigurationError


def parse_until(text: str) -> tuple[int, int] | None:
    """Hour and minute of ``06:30``; None for an empty text. Raises ConfigurationError."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", text)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        raise ConfigurationError(f"until is {text!r}; it is a time of day such as 06:30")
    return int(found[1]), int(found[2])


def next_time(now: datetime, until: str) -> datetime | None:
    """The next moment at which the clock of `now` shows `until`; None for no end.

    `now` is local time, and so is what is returned: without a zone, for a zone with a fixed
    offset knows nothing of a night in which clocks are changed. A night that starts at 22:00 and
    is to end at 06:30 ends tomorrow.
    """
    wanted = parse_until(until)
    if wanted is None:
        return None
    today = now.replace(hour=wanted[0], minute=wanted[1], second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


@dataclass(frozen=True)
class Budget:
    """From `start` to `end` (seconds of one clock); `end` None is no end.

    Measuring new commits may use all but the `reserve` share: what was found has to be made
    sure and told in the same night.
    """

    start: float
    end: float | None = None
    reserve: float = 0.0

    @property
    def measuring_end(self) -> float | None:
        """When to stop measuring what is new."""
        return None if self.end is None else self.end - self.reserve * (self.end - self.start)

    def fits(self, now: float, seconds: float, *, measuring: bool = False) -> bool:
        """Whether a job that takes about `seconds` would still end in time."""
        end = self.measuring_end if measuring else self.end
        return end is None or now + seconds <= end

    def left(self, now: float, *, measuring: bool = False) -> float | None:
        """Seconds until the end, or until measuring ends, at least 0; None for no end."""
        end = self.measuring_end if measuring else self.end
        return None if end is None else max(0.0, end - now)
