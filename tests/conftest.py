import signal
from collections import Counter
from typing import Any

import pytest

from mobileopt.torch_warnings import KNOWN


def pytest_configure(config: pytest.Config) -> None:
    # A job in the background of a shell without job control ignores Ctrl-C, and so would every
    # program that the tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for message, category in KNOWN:
        config.addinivalue_line("filterwarnings", f"ignore:{message}:{category.__name__}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what tests/collection/campaign.py counted, also in the processes of xdist."""
    total: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for each in reports:
            if getattr(each, "when", "") == "teardown":
                for name, counts in each.user_properties:
                    total.update(counts if name == "campaign" else {})
    if total:
        terminalreporter.section("faults on phones")
        terminalreporter.write_line(
            f"{total['injected']} faults injected, {total['kills']} collectors killed: "
            f"{total['lost']} results lost, {total['damaged']} store files damaged, "
            f"{total['hung']} hangs, {total['left']} things left on phones"
        )
