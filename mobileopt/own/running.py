"""Where the user's own Python runs: whatever it raises becomes one sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

from mobileopt.errors import InputError, MobileoptError


@contextmanager
def sentence(what: str, kind: type[MobileoptError] = InputError) -> Iterator[None]:
    """Turn whatever the block raises into an error of `kind` that begins with `what`."""
    try:
        yield
    except MobileoptError:
        raise
    except (Exception, SystemExit) as error:  # a module may also call sys.exit
        raise kind(f"{what}: {reason(error)}") from error


def reason(error: BaseException) -> str:
    """The type of an error and the first line of its text, shortened and printable."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = printable(lines[0]) if lines else ""
    return textwrap.shorten(
        f"{type(error).__name__}: {first}".rstrip(": "), 240, placeholder=" ..."
    )


def printable(text: str) -> str:
    """`text` without what a terminal would obey: control characters become question marks."""
    return "".join(each if each.isprintable() else "?" for each in text)
