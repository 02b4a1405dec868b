from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from mobileopt.adb import performance
from mobileopt.errors import (
    NotReadyError,
)
from tests.loopback.common import leftovers, until

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
    assert leftovers(connected) == []


STUBBORN = '''if [ "$3" = false ] && [ -e "$PHONE_ROOT/state/stubborn" ]; then
  echo "cmd: Can't find service: power" >&2; exit 20
fi
echo "$3" > "$PHONE_ROOT/state/fixed_performance"'''


def test_a_mode_that_could_not_be_ended_stays_marked_until_it_is(connected):
    connected.root.tool("cmd", STUBBORN)
    connected.root.write("state/stubborn", "")
    with performance.fixed(connected.phone):
        pass
    assert not performance.restore(connected.phone)
    assert connected.root.path(performance.MARK).exists()
    connected.root.remove("state/stubborn")
    assert performance.restore(connected.phone)
    assert connected.root.read("state/fixed_performance") == "false\n"
    assert leftovers(connected) == []


def test_an_interrupt_does_not_cut_what_ends_the_mode(connected):
    ending = threading.Event()
    connected.root.tool(
        "cmd",
        'if [ "$3" = false ]; then touch "$PHONE_ROOT/state/ending"; sleep 0.5; fi\n'
        'echo "$3" > "$PHONE_ROOT/state/fixed_performance"',
    )

    def interrupt() -> None:
        until((connected.root.folder / "state/ending").exists)
        connected.phone.interrupt()
        ending.set()

    other = threading.Thread(target=interrupt)
    other.start()
    with performance.fixed(connected.phone):
        pass
    other.join()
    assert ending.is_set()
    assert connected.root.read("state/fixed_performance") == "false\n"
    assert leftovers(connected) == []


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
