"""What may stand in XML."""

from __future__ import annotations

import re

# XML 1.0 has no way to write these characters, not even escaped.
_IMPOSSIBLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(value: str) -> str:
    """A text with ? for each character that XML cannot hold."""
    return _IMPOSSIBLE.sub("?", value)
