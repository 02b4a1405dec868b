"""What `benchmarks.verdicts.nightly` works on: a clone with commits of its own, phones, a program.

Nothing here knows what a nightly is.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mobileopt.errors import CapabilityError

REWRITTEN = "mobileopt/optimizations/fuse_modules.py"
MODEL = "annotated_conv_bn_relu"
FUSED, UNFUSED = f"{MODEL}/fused-float-nchw-mobile", f"{MODEL}/unfused-float-nchw-mobile"
VARIANTS = (FUSED, UNFUSED)
_NORM = r"nn\.BatchNorm2d\(5[^)]*\)"
_IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "A. Author"), ("EMAIL", "author@example.org"))
}
_SLOWER = '''

class _Doubting(nn.Module):
    """Computes what it adds nothing of."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        y = self.inner(x)
        return y + 0.0 * y.sigmoid()
'''

_STAND_IN = """#!/bin/sh
for word in "$@"; do
  case "$word" in --iter=*) iter=${word#*=};; --model=*) model=${word#*=};; esac
done
size=$(wc -c < "$model") || exit 134
i=0
echo "Main runs."
while [ $i -lt $iter ]; do
  value=$((size / 4 + i % 7))
  echo "PyTorchObserver {\\"type\\": \\"NET\\", \\"unit\\": \\"us\\", \\"metric\\": \\"latency\\", \\"value\\": \\"$value\\"}"
  i=$((i + 1))
done
echo "Main run finished. Microseconds per iter: $((size / 4 + 3)). Iters per second: 1000"
"""  # noqa: E501


class Scratch:
    """A clone of this checkout's last commit, without its results, on a branch of its own.

    With `different`, every commit exports other bytes that are the same work: another epsilon of
    the model's normalization. Without it unchanged commits export the same file, and every
    suspicion between them is answered without measuring.
    """

    def __init__(self, folder: Path, *, different: bool) -> None:
        self.folder, self.different = folder, different
        self.commits: list[str] = []
        _git(Path.cwd(), "clone", "--quiet", "--no-hardlinks", ".", str(folder))
        _git(folder, "checkout", "--quiet", "-B", "scratch")
        # Its own results would be a history of this machine that no night here has measured.
        _git(folder, "rm", "--quiet", "-r", "results")
        _git(folder, "commit", "--quiet", "-m", "A history of its own")

    def commit(self, *, slow: bool = False) -> str:
        """Commit the next change, which makes fused models slower or nothing; gives its hash."""
        number = len(self.commits) + 1
        (self.folder / "SCRATCH").write_text(f"{number}\n")
        if self.different:
            _replace(self.folder / f"mobileopt/models/{MODEL}.py", _NORM, _norm(number))
        if slow:
            _slow_down(self.folder / REWRITTEN)
        subject = "Fused models doubt themselves" if slow else f"Change number {number}"
        _git(self.folder, "add", "-A", "mobileopt", "SCRATCH")
        _git(self.folder, "commit", "--quiet", "-m", subject)
        self.commits.append(_git(self.folder, "rev-parse", "HEAD").strip())
        return self.commits[-1]


def _norm(number: int) -> str:
    """Large enough to change the float32 of the folded weights, far too small for accuracy."""
    return f"nn.BatchNorm2d(5, eps={1 + number / 64}e-5)"


def _slow_down(path: Path) -> None:
    _replace(
        path, r"    return Result\(result, tuple\(", "    return Result(_Doubting(result), tuple("
    )
    path.write_text(path.read_text() + _SLOWER)


def _replace(path: Path, pattern: str, by: str) -> None:
    text, count = re.subn(pattern, by, path.read_text())
    assert count == 1, f"{path} has {count} times {pattern}"
    path.write_text(text)


@contextmanager
def connected(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """`count` phones on loopback behind an adb server of their own, as a [phones] section."""
    if not count:
        yield {"enabled": False}
        return
    from tests.loopback.adbd import Adbd
    from tests.loopback.root import Root
    from tests.loopback.server import adb_server

    home = folder / "adb"
    home.mkdir(parents=True)
    with adb_server(home) as port:
        phones = [Adbd(Root(folder / f"phone{n}", f"PHONE{n}")) for n in range(1, count + 1)]
        yield {
            "enabled": True,
            "serials": [f"PHONE{n}" for n in range(1, count + 1)],
            "adb_host": "127.0.0.1",
            "adb_port": port,
            "connect": [each.address for each in phones],
            "variants": list(VARIANTS),
        }
        for each in phones:
            each.power_off()


def running(folder: Path) -> Path:
    """A program for loopback phones that really runs the model, by this host's libtorch.

    Takes a minute to compile. Raises CapabilityError without a compiler.
    """
    if shutil.which("g++") is None:
        raise CapabilityError("g++ is not installed; --stand-in needs no compiler")
    found = importlib.util.find_spec("torch")
    assert found is not None
    assert found.origin is not None
    torch, binary = Path(found.origin).parent, folder / "nightly_program"
    source = Path(__file__).with_name("nightly_program.cpp")
    headers = (f"-I{torch}/include", f"-I{torch}/include/torch/csrc/api/include")
    # Operators register themselves when libtorch is loaded; no symbol of theirs is asked for.
    libraries = ("-Wl,--no-as-needed", "-ltorch", "-ltorch_cpu", "-lc10")
    where = (f"-L{torch}/lib", f"-Wl,-rpath,{torch}/lib")
    command = ["g++", "-std=c++17", "-O1", *headers, str(source), "-o", str(binary)]
    print("compiling the phones' program", flush=True)
    subprocess.run([*command, *where, *libraries], check=True)
    # A script: the phones say that they are of another architecture. And one at a time: phones
    # have cores of their own, while these would take each other's.
    return _program(folder, f'#!/bin/sh\nexec flock "{folder}/cores" "{binary}" "$@"\n')


def stand_in(folder: Path) -> Path:
    """A program that takes a quarter of a microsecond a byte of the model."""
    return _program(folder, _STAND_IN)


def _program(folder: Path, text: str) -> Path:
    path = folder / "speed_benchmark_torch"
    path.write_text(text)
    path.chmod(0o755)
    return path


def _git(folder: Path, *arguments: str) -> str:
    command: Sequence[str] = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | _IDENTITY
    )
    return done.stdout
