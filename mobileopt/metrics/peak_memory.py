"""Peak memory of an action, without what the process held before it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mobileopt.errors import CapabilityError

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc_pid_clear_refs(5): reset the peak resident set size


def increment(action: Callable[[], object]) -> int:
    """Bytes by which the peak of the resident set rises above its size before `action`.

    Importing torch alone takes hundreds of megabytes and hides what a model needs. Linux only;
    raises CapabilityError elsewhere.
    """
    if not _STATUS.exists():
        raise CapabilityError("peak memory above the start needs /proc, which Linux has")
    _CLEAR.write_text(_RESET_PEAK)
    before = _read("VmRSS")
    action()
    return max(0, _read("VmHWM") - before)


def _read(field: str) -> int:
    line = next(each for each in _STATUS.read_text().splitlines() if each.startswith(field))
    return int(line.split()[1]) * 1024
