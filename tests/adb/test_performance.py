from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from mobileopt.adb import performance
from mobileopt.errors import (
    NotReadyError,
)
from tests.loopback.common import leftovers

pytest_plugins = ["tests.loopback.fixtures"]


def test_fixed_performance_is_held_and_restored(connected):
    with performance.fixed(connected.phone) as held:
        assert held
        assert connected.root.read("state/fixed_performance") == "true\n"
    assert connected.root.read("state/fixed_performance") == "false\n"
    assert leftovers(connected) == []


def test_fixed_performance_is_restored_after_an_error(connected):
    with pytest.raises(KeyboardInterrupt), performance.fixed(connected.phone):
        raise KeyboardInterrupt
    assert connected.root.read("state/fixed_performance") == "false\n"


def test_a_phone_without_fixed_performance_says_so(connected):
    connected.root.write("state/no_fixed_performance", "")
    with performance.fixed(connected.phone) as held:
        assert not held


def test_fixed_performance_left_by_a_killed_process_is_undone_at_the_next_start(connected, server):
    program = (
        "import sys, time\n"
        "from mobileopt.adb import Server, performance\n"
        "phone = Server(sys.argv[1], int(sys.argv[2])).connect(sys.argv[3])\n"
        "with performance.fixed(phone):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    where = [server.host, str(server.port), connected.adbd.address]
    with subprocess.Popen([sys.executable, "-c", program, *where], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        connected.phone.reconnect(20)
        with (
            pytest.raises(NotReadyError, match=f"process {other.pid}"),
            performance.fixed(connected.phone),
        ):
            pytest.fail("two processes measure on one phone")
        other.send_signal(signal.SIGKILL)
    assert connected.root.read("state/fixed_performance") == "true\n"
    assert performance.restore(connected.phone)
    assert connected.root.read("state/fixed_performance") == "false\n"
    assert not performance.restore(connected.phone)
