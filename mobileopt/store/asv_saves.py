"""asv's own saves, routed through the store: merged, locked and atomic instead of in place."""

# pyright: standard
# asv ships no types, so every value it hands out is unknown to the strict mode.

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mobileopt.errors import StoreError
from mobileopt.store.store import Store

_BASE = "_mobileopt_base"
_REMOVED = "_mobileopt_removed"


def install() -> None:
    """Make asv, in this process, save results, machines and benchmarks through the store.

    `asv run` then loses nothing another writer has stored since it started, and none of its
    failures replaces a value. What the store refuses (two commits that share 8 digits) ends the
    command with asv's one-line error, before anything is measured. Installing twice is the same.
    """
    from asv.benchmarks import Benchmarks
    from asv.machine import Machine
    from asv.results import Results

    for owner, name, wrap in (
        (Results, "save", _saving_results),
        (Results, "load_data", _loading),
        (Results, "remove_result", _removing),
        (Machine, "save", _saving_machine),
        (Benchmarks, "save", _saving_benchmarks),
    ):
        original: Callable[..., Any] = getattr(owner, name)
        if not hasattr(original, "__wrapped__"):
            wrapped = functools.wraps(original)(_as_user_error(wrap(original)))
            setattr(owner, name, wrapped)


def _saving_results(original: Callable[..., Any]) -> Callable[..., Any]:
    def save(self: Any, result_dir: str) -> None:
        if self._filename is None:
            original(self, result_dir)  # raises asv's own error
            return
        base, removed = getattr(self, _BASE, None), getattr(self, _REMOVED, {})
        Store(result_dir).save_results(self, base, removed)
        setattr(self, _REMOVED, {})

    return save


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    def load_data(self: Any, result_dir: str) -> None:
        if self._filename is not None:
            store, machine = Store(result_dir), Path(self._filename).parent.name
            setattr(self, _BASE, store.prepare(machine, self.commit_hash, self.env_name))
        original(self, result_dir)

    return load_data


def _removing(original: Callable[..., Any]) -> Callable[..., Any]:
    def remove_result(self: Any, key: str) -> None:
        removed = getattr(self, _REMOVED, {})
        setattr(self, _REMOVED, removed | {key: self.started_at.get(key) or 0})
        original(self, key)

    return remove_result


def _saving_machine(original: Callable[..., Any]) -> Callable[..., Any]:
    def save(self: Any, results_dir: str) -> None:
        Store(results_dir).save_machine(self.__dict__)

    return save


def _saving_benchmarks(original: Callable[..., Any]) -> Callable[..., Any]:
    def save(self: Any) -> None:
        Store(self._conf.results_dir).save_benchmarks(self._all_benchmarks)

    return save


def _as_user_error(function: Callable[..., Any]) -> Callable[..., Any]:
    # asv prints its own UserError as one line; any other ends in a traceback.
    def call(*args: Any, **kwargs: Any) -> Any:
        from asv.util import UserError

        try:
            return function(*args, **kwargs)
        except StoreError as error:
            raise UserError(str(error)) from error

    return call
