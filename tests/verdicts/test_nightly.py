import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def experiment(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.verdicts", "nightly", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_phones_blame_the_slow_one_of_three_commits_and_every_run_is_stored_once(tmp_path):
    done = experiment(
        *("--commits", "3", "--slow", "2", "--again", "0", "--phones", "2", "--no-host"),
        *("--stand-in", "--rounds", "2", "--launches", "12", "--different"),
        *("--folder", str(tmp_path / "scratch"), "--report", str(tmp_path / "report.md")),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    row = done.stdout.strip().splitlines()[-1]
    assert "on 2 of 2 machines | 0 |" in row
    assert "values: 12 of 12; phones' runs: 12 of 12, 0 of them twice; jobs done twice: 0" in (
        done.stdout
    )
    assert "Fused models doubt themselves" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "scratch").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--cluster"], "--cluster needs --phones and --no-host"),
        (["--no-host"], "--no-host needs --phones"),
        (["--slow", "11"], "--slow is one of --commits, or 0"),
    ],
)
def test_what_cannot_be_tried_is_refused_in_a_sentence(options, sentence):
    done = experiment(*options)
    assert done.returncode == 2
    assert sentence in done.stderr
