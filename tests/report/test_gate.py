import io
import json
import math

import pytest
from rich.console import Console

from mobileopt.gate.finding import NOISE, SIZE, Finding, Result, exact, refused
from mobileopt.report import gate, junit, markdown

HOSTILE = "a|b <script>alert(1)</script> `code` [x](y)\x00\ud800 *\n# heading"
RESULT = Result(
    "a" * 40,
    "b" * 40,
    (
        exact(SIZE, "net/ok", 1_000_000, 1_000_000),
        exact(NOISE, "net/lost", 0.0, 0.02),
        refused("net/refused", HOSTILE),
        Finding("latency.time_forward", "net/dark", "unclear", *(math.nan,) * 3, 0, math.inf, "no"),
    ),
    0.05,
    12.0,
    {"net/new": HOSTILE},
    (HOSTILE,),
)


def shown(result):
    out = io.StringIO()
    gate.show(result, Console(file=out, width=250))
    return out.getvalue()


def test_the_table_lists_the_worst_first_and_ends_with_one_sentence():
    text = shown(RESULT)
    assert text.index("WORSE") < text.index("cannot tell") < text.index("│ ok")
    assert text.splitlines()[-1].endswith("infinitely worse and 1 more (12 s)")


@pytest.mark.parametrize("name", ["net/lost", "net/refused", "net/dark", "net/ok", "net/new"])
def test_every_output_names_every_benchmark(name):
    assert name in shown(RESULT)
    assert name in markdown.check(RESULT)
    assert name in junit.dump(RESULT)
    assert name in gate.dump(RESULT)


def test_markdown_shows_hostile_text_as_it_is():
    text = markdown.check(RESULT)
    assert "<script>" not in text.replace("\\<script\\>", "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(RESULT.findings)
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert "\n# heading" not in text


def test_the_json_is_strict_and_says_the_verdict():
    document = json.loads(gate.dump(RESULT), parse_constant=pytest.fail)
    assert (document["verdict"], document["exit_code"]) == ("worse", 1)
    by_subject = {each["subject"]: each for each in document["findings"]}
    assert by_subject["net/lost"]["ratio"] is None
    assert by_subject["net/ok"]["unit"] == "bytes"
