"""The parsed store on disk, in the user's cache folder, refreshed file by file.

The cache is never needed: without it, or with one that cannot be read, the result files are
read again. It holds numbers and JSON only, so that a foreign one can execute nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from mobileopt.store import files, table
from mobileopt.store.layout import MACHINE, result_files
from mobileopt.store.table import Builder, Table

SCHEMA = 3


def paths(root: Path) -> list[Path]:
    """The result files of a store; folders without a machine.json give a StoreWarning."""
    found: list[Path] = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        inside = result_files(folder)
        if inside and not (folder / MACHINE).is_file():
            files.warn(f"{folder} was skipped: it has no {MACHINE}, as asv requires")
        elif not folder.name.startswith("."):
            found.extend(inside)
    return found


def load(root: Path, paths: list[Path]) -> Table:
    """The table of these result files; only those that changed since the last call are read."""
    where = location(root)
    cached = _read(where)
    found = dict(_identities(root, paths))
    keep = np.array([found.get(each[0]) == each for each in cached.identities], bool)
    current = cached if keep.all() else table.kept(cached, keep)
    known = {identity[0] for identity in current.identities}
    builder = Builder()
    fresh = [path for path in paths if path.relative_to(root).as_posix() not in known]
    for path in fresh:
        builder.add(root, path)
    if fresh:
        current = table.joined(current, builder.table())
    if fresh or not keep.all():
        _write(where, current)
    return current


def location(root: Path) -> Path:
    """Where a store's cache lies: `$XDG_CACHE_HOME/mobileopt`, named by the store's path."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    return Path(base) / "mobileopt" / f"store-{digest[:16]}.npz"


def _identities(root: Path, paths: list[Path]) -> list[tuple[str, table.Identity]]:
    found: list[tuple[str, table.Identity]] = []
    for path in paths:
        with suppress(FileNotFoundError):
            identity = table.identify(root, path)
            found.append((identity[0], identity))
    return found


def _read(path: Path) -> Table:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            texts: dict[str, Any] = json.loads(bytes(stored["json"]))
            if texts["schema"] != SCHEMA:
                return table.empty()
            return Table(
                [(str(name), size, time, inode) for name, size, time, inode in texts["files"]],
                texts["texts"],
                {name: stored[f"file_{name}"] for name in table.FILE_DTYPES},
                {name: stored[f"row_{name}"] for name in table.ROW_DTYPES},
                {name: stored[f"cell_{name}"] for name in table.CELL_DTYPES},
                stored["samples"],
            )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return table.empty()


def _write(path: Path, content: Table) -> None:
    texts = {
        "schema": SCHEMA,
        "files": content.identities,
        "texts": content.texts,
    }
    arrays = {f"file_{name}": column for name, column in content.files.items()}
    arrays |= {f"row_{name}": column for name, column in content.rows.items()}
    arrays |= {f"cell_{name}": column for name, column in content.cells.items()}
    arrays |= {
        "samples": content.samples,
        "json": np.frombuffer(json.dumps(texts).encode(), np.uint8),
    }
    files.keep(path, lambda file: np.savez(file, **arrays))  # pyright: ignore[reportArgumentType] - arrays only
