"""Phones that keep failing are left alone for a while, with the reason, and then tried again."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from mobileopt.store import files


@dataclass(frozen=True)
class Standing:
    """Failures in a row of one phone, the reason of the last, and when (seconds since 1970)."""

    strikes: int = 0
    reason: str = ""
    since: float = 0.0

    def failed(self, reason: str, now: float) -> Standing:
        """After one more failure."""
        return Standing(self.strikes + 1, reason, now)

    def is_out(self, strikes: int, hours: float, now: float) -> bool:
        """Whether it is to be left alone: `strikes` failures, the last within `hours`.

        Once it is released a single failure puts it back, and a single success clears it.
        """
        return self.strikes >= strikes and now < self.since + hours * 3600


class Quarantine:
    """The standing of every phone, by hardware serial, in one file; several threads may use it."""

    def __init__(self, path: Path, strikes: int, hours: float) -> None:
        self._path, self._strikes, self._hours = path, strikes, hours
        self._lock = threading.Lock()

    def standings(self) -> dict[str, Standing]:
        """Every phone with failures; a damaged file is moved aside and forgotten."""
        try:
            return {name: Standing(**value) for name, value in files.read_json(self._path).items()}
        except FileNotFoundError:
            return {}
        except (files.DamagedFileError, TypeError) as error:
            files.quarantine(self._path, str(error))
            return {}

    def is_out(self, serial: str, now: float) -> bool:
        """Whether a phone is to be left alone now."""
        standing = self.standings().get(serial, Standing())
        return standing.is_out(self._strikes, self._hours, now)

    def strike(self, serial: str, reason: str, now: float) -> bool:
        """Count a failure; whether the phone is out now."""
        with self._lock:
            all_of_them = self.standings()
            standing = all_of_them.get(serial, Standing()).failed(reason, now)
            self._write(all_of_them | {serial: standing})
        return standing.is_out(self._strikes, self._hours, now)

    def clear(self, serial: str) -> None:
        """Forget a phone's failures, after a success."""
        with self._lock:
            all_of_them = self.standings()
            if all_of_them.pop(serial, None) is not None:
                self._write(all_of_them)

    def _write(self, standings: dict[str, Standing]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = {name: asdict(standing) for name, standing in sorted(standings.items())}
        files.replace(self._path, json.dumps(text, indent=2))
