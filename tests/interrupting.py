"""Ctrl-C in the middle of a session of measurements."""

import os
import signal
import subprocess
import sys
import time


def interrupted(*arguments):
    """Run `mobileopt ARGUMENTS` and stop it among the rounds; gives its exit code and output."""
    command = [sys.executable, "-m", "mobileopt", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(_pinned_children(process.pid)) < 2:  # both are, when the first round begins
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    time.sleep(3)  # rounds of a tenth of a second; the thousandth is minutes away
    os.killpg(process.pid, signal.SIGINT)
    try:
        out, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, errors


def _pinned_children(pid):
    command = ["pgrep", "-f", "-P", str(pid), "execution"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return [each for each in found if len(os.sched_getaffinity(int(each))) == 1]
