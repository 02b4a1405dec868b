"""What asv says once of a benchmark that failed, taken from asv's own results."""

from datetime import UTC, datetime

import pytest
from asv.results import Results
from asv.runner import BenchmarkResult

from mobileopt.store import documents
from mobileopt.store.asv_failures import records
from mobileopt.store.asv_format import serialize

START = datetime(2026, 3, 1, tzinfo=UTC)
NAN = float("nan")
TRACEBACK = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no {}\n'


def failed(values, said, params=(), code=1):
    """An asv run of one benchmark: its results, and the document asv would save of them."""
    results = Results({"machine": "m"}, {}, "a" * 40, 1, "3.11", "env", {})
    benchmark = {"name": "x.track", "version": "1", "params": [list(axis) for axis in params]}
    none = [None] * len(values)
    results.add_result(benchmark, BenchmarkResult(values, none, none, code, said, None), START)
    return results, documents.parse(serialize(results))


def told(values, said, params=(), before=None, **options):
    results, document = failed(values, said, params, **options)
    return list(records(results, document, before))


def test_a_failure_is_told_by_its_last_line_with_all_it_wrote():
    [record] = told([None], TRACEBACK.format("model"), code=3)
    assert record["reason"] == "ValueError: no model"
    assert record["context"] == {"exit_status": 3, "output": TRACEBACK.format("model").strip()}
    assert (record["run"], record["combination"]) == (f"asv {record['started_at']}", [])


def test_each_combination_that_failed_is_told_by_what_it_wrote_itself():
    said = "".join(f"For parameters: {n}, 'x'\n{TRACEBACK.format(n)}\n\n" for n in (1, 2, 3))
    found = told([None, 5.0, None, NAN], said, [("1", "2", "3", "4"), ("'x'",)])
    assert {record["combination"][0]: record["reason"] for record in found} == {
        "1": "ValueError: no 1",
        "3": "ValueError: no 3",
    }


def test_what_stands_above_all_combinations_is_told_of_each():
    found = told([None, None], "no space left\n", [("1", "2")])
    assert [record["reason"] for record in found] == ["no space left"] * 2


@pytest.mark.parametrize("said", ["", " \n\t\n", None])
def test_a_failure_without_a_word_says_how_it_exited(said):
    [record] = told([None], said, code=-11)
    assert record["reason"] == "exit status -11 and not a word"


def test_of_a_flood_the_end_is_kept_and_a_reason_stays_a_sentence():
    [record] = told([None], "x\n" * 100_000 + "y" * 10_000)
    assert record["context"]["output"] == "y" * 4000
    assert record["reason"] == "y" * 300


def test_a_failure_of_the_file_before_is_told_again_only_if_asv_says_something_of_it():
    params = [("1", "2")]
    _, before = failed([None, None], "first", params)
    again = "For parameters: 2\nsecond\n"
    assert [each["reason"] for each in told([None, None], again, params, before)] == ["second"]
    assert told([None, None], "", params, before) == []
    assert len(told([None, None], "", params, documents.Document(before.header, {}))) == 2


def test_a_benchmark_without_parameters_may_print_what_looks_like_some():
    [record] = told([None], "For parameters: of the model\nValueError: none\n")
    assert record["reason"] == "ValueError: none"
    assert "of the model" in record["context"]["output"]
