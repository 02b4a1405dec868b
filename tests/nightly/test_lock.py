import json
import subprocess
import sys

import pytest

from mobileopt.errors import OutputError
from mobileopt.nightly import lock

HOLD = """
import sys, time
from pathlib import Path
from mobileopt.nightly import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_nightly_is_refused_and_told_who_holds_the_lock_and_for_how_long(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(OutputError, match=rf"process {holder.pid} on '.*', for 0 min"),
            lock.held(tmp_path),
        ):
            pass
        holder.kill()
        holder.wait()
        with lock.held(tmp_path):  # a killed one blocks nobody
            pass


def test_an_age_of_hours_is_told_in_hours(tmp_path):
    (tmp_path / lock.OWNER).write_text(json.dumps({"pid": 7, "host": "lab-1", "since": 1000.0}))
    assert lock.owner(tmp_path, now=1000.0 + 7500) == "process 7 on 'lab-1', for 2 h 5 min"


def test_an_owner_that_said_nothing_readable_is_no_failure(tmp_path):
    (tmp_path / lock.OWNER).write_text("{")
    assert lock.owner(tmp_path) == "it has not said who it is"
