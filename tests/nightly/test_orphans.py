import os
import subprocess
import sys

from mobileopt.nightly import orphans

CHILD = "import subprocess, sys; subprocess.run(['sleep', '60'])"


def test_what_a_killed_nightly_left_running_is_ended_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.delenv(orphans.MARK, raising=False)
    mine = os.environ | {orphans.MARK: str(tmp_path.resolve())}
    others = os.environ | {orphans.MARK: str(tmp_path.resolve() / "other")}
    left = subprocess.Popen([sys.executable, "-c", CHILD], env=mine)
    other = subprocess.Popen(["sleep", "60"], env=others)
    try:
        ended = orphans.adopt(tmp_path)
        assert left.pid in ended
        assert left.wait(10) != 0
        assert other.poll() is None
        assert os.environ[orphans.MARK] == str(tmp_path.resolve())
        assert orphans.adopt(tmp_path) == []  # this process carries the mark now
    finally:
        other.kill()
        other.wait()
        orphans.adopt(tmp_path)
