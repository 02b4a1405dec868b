"""A folder being published, beside the one published last: what did not change is linked."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson

import mobileopt

RECORD = "mobileopt/inputs.json"
"""Where the site says what each of its files was made from."""


class Outputs:
    """Files of a new site, each made only if what it is made from changed since the last.

    `previous` is the site published last, or None. A file's `inputs` are bytes or texts; its
    digest with the code's stands in RECORD.
    """

    def __init__(self, html: Path, previous: Path | None = None) -> None:
        self.html = html
        self._previous = previous
        self._known = _record(previous) if previous else {}
        self._digests: dict[str, str] = {}
        self._folders: set[Path] = set()
        self.written = 0

    def put(self, path: str, inputs: tuple[Any, ...], make: Callable[[], Any]) -> None:
        """A file of JSON at `path` below the site: the last one's, or made anew.

        What `make` gives may hold arrays of numbers, in which NaN becomes null.
        """
        digest = _digest(inputs)
        target = self.html / path
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(target.parent)
        self._digests[path] = digest
        if self._known.get(path) != digest or not self._take(path, target):
            target.unlink(missing_ok=True)  # two graphs of one path: the first may be the last's
            target.write_bytes(orjson.dumps(make(), option=orjson.OPT_SERIALIZE_NUMPY))
            self.written += 1

    def finish(self) -> None:
        """Write the record for the next publish."""
        target = self.html / RECORD
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(self._digests, separators=(",", ":")), encoding="utf-8")

    def _take(self, path: str, target: Path) -> bool:
        assert self._previous is not None
        # Nothing writes into a published file: a second name for it is as good as a copy.
        try:
            os.link(self._previous / path, target)
        except OSError:
            try:
                shutil.copyfile(self._previous / path, target)
            except OSError:
                return False
        return True


def _record(previous: Path) -> dict[str, str]:
    try:
        found = json.loads((previous / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(inputs: tuple[Any, ...]) -> str:
    hashed = hashlib.blake2b(digest_size=16, key=_code())
    for each in inputs:
        content = each if isinstance(each, bytes) else str(each).encode("utf-8", "surrogatepass")
        hashed.update(f"{len(content)}:".encode())
        hashed.update(content)
    return hashed.hexdigest()


@cache
def _code() -> bytes:
    """What tells this publisher from another: the source of all that makes files."""
    hashed = hashlib.blake2b(digest_size=32)
    root = Path(mobileopt.__file__).parent
    for folder in ("publishing", "asv_plugin", "changes"):
        for path in sorted((root / folder).glob("*.py")):
            hashed.update(path.read_bytes())
    return hashed.digest()
