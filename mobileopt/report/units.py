"""Seconds, bytes and ratios as people read them. Inside, everything stays SI."""

from __future__ import annotations

import math

EXACT = 200.0
"""The SQNR in decibels from which answers count as bit-exact: beyond float32's own rounding."""


def milliseconds(seconds: float) -> str:
    """Three significant digits in ms, or in µs below one: ``12.3 ms``."""
    if seconds < 1e-3:
        return f"{_significant(seconds * 1e6)} µs"
    return f"{_significant(seconds * 1e3)} ms"


def bytes_(count: float) -> str:
    """Decimal units, as stores and shops count: ``14.3 MB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{_significant(count / size)} {unit}"
    return f"{count:.0f} B"


def quantity(value: float, unit: str) -> str:
    """A value as people read it in its unit: ``3.91 MB (3,912,647)``, ``1.2e-05 ratio``."""
    if math.isnan(value):
        return "unknown"
    if unit == "seconds":
        return milliseconds(value)
    if unit == "bytes":
        # A file that grew by some bytes must not look as if it had not.
        return bytes_(value) if value < 1000 else f"{bytes_(value)} ({value:,.0f})"
    return f"{value:.4g} {unit}".strip()


def sqnr(noise: float) -> float:
    """Signal to quantization noise in decibels of a relative rms error; infinite for none."""
    return -20 * math.log10(noise) if noise > 0 else math.inf


def decibels(noise: float) -> str:
    """The SQNR of a relative rms error: ``12.1 dB``, or ``exact``."""
    value = sqnr(noise)
    return "exact" if value >= EXACT else f"{value:.1f} dB"


def speed(ratio: float) -> str:
    """A time ratio as a speed-up: ``2.68x``."""
    return f"{1 / ratio:.2f}x"


def _significant(value: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:.{min(digits, 3)}f}"
