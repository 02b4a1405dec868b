"""Text from anywhere in GitHub's markdown: as it is, and as readable before it is rendered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# Within a word `_` is no mark, so that names of models stay names; at the beginning of a line
# some marks and numbers would begin a heading or a list.
_MARKS = re.compile(r"[\\`*\[\]<>|~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|^#|^[+=-](?=[=\s-]|$)")
_NUMBER = re.compile(r"^(\d+)([.)])(?=\s|$)")


def line(text: str) -> str:
    r"""What can be printed, in one line: a space stands for each character that cannot.

    >>> line("one\ntwo")
    'one two'
    """
    return "".join(c if c.isprintable() else " " for c in text)


def escape(text: str) -> str:
    r"""One line in which nothing is markup, not even HTML.

    >>> print(escape("mobilenet_v2 *is* _slow_ <b>"))
    mobilenet_v2 \*is\* \_slow\_ \<b\>
    """
    words = " ".join(line(text).split())
    return _NUMBER.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", words))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table, every cell escaped."""
    return [
        f"| {' | '.join(headings)} |",
        "|" + " --- |" * len(headings),
        *(f"| {' | '.join(map(escape, row))} |" for row in rows),
    ]
