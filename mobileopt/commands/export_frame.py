"""Write the whole store as one table, a parameter combination a row, for other tools.

The columns are those of docs/store.md; in Python, `mobileopt.store.Store(path).frame()` gives the
same table as a pandas frame.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from mobileopt.errors import CapabilityError, InputError, OutputError
from mobileopt.store import Store

HELP = "the whole store as one table: Parquet or CSV"
EXAMPLES = """examples:
  mobileopt export-frame results.parquet                      of ./results
  mobileopt export-frame --store lab/results --samples all.parquet
  mobileopt export-frame results.csv
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("file", type=Path, help="what to write: .parquet or .csv")
    parser.add_argument("--store", type=Path, default=Path("results"), metavar="DIR")
    parser.add_argument("--samples", action="store_true", help="with the raw samples of each row")


def run(arguments: argparse.Namespace) -> int:
    """Read, write beside the target, and put it in its place whole."""
    write = _writer(arguments.file)
    with Console(stderr=True).status(f"reading {arguments.store}"):
        frame = Store(arguments.store).frame(samples=arguments.samples)
        _replace(arguments.file, lambda path: write(frame, path))
    print(f"{arguments.file}: {len(frame)} rows of {len(frame.columns)} columns")
    return 0


def _writer(file: Path) -> Callable[[Any, Path], object]:
    writers = {".parquet": _parquet, ".csv": _csv}
    if file.suffix not in writers:
        raise InputError(f"{file} ends in {file.suffix!r}, not in {' or '.join(writers)}")
    if file.suffix == ".parquet":
        _require_pyarrow()
    return writers[file.suffix]


def _require_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise CapabilityError("Parquet needs pyarrow: pip install 'mobileopt[frame]'") from error


def _parquet(frame: Any, path: Path) -> None:
    # Parquet has one type a column: a parameter that is a number in one benchmark and a text in
    # another is a text in all of them.
    mixed = [name for name in frame.columns if _is_mixed(frame[name])]
    frame.assign(**{name: _texts(frame[name]) for name in mixed}).to_parquet(path, index=False)


def _is_mixed(column: Any) -> bool:
    if column.dtype != "category":
        return False
    return len({type(value) for value in column.cat.categories}) > 1


def _texts(column: Any) -> Any:
    return column.cat.rename_categories([str(value) for value in column.cat.categories])


def _csv(frame: Any, path: Path) -> None:
    if "samples" in frame:
        told = [None if each is None else json.dumps(list(each)) for each in frame["samples"]]
        frame = frame.assign(samples=told)
    frame.to_csv(path, index=False)


def _replace(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that its old content is there until the new one is whole."""
    try:
        descriptor, name = tempfile.mkstemp(file.suffix, f".{file.stem}-", file.parent)
        os.close(descriptor)
        fresh = Path(name)
        try:
            write(fresh)
            fresh.chmod(0o644)
            fresh.replace(file)
        finally:
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
    except OSError as error:
        raise OutputError(f"{file} cannot be written: {error.strerror or error}") from error
