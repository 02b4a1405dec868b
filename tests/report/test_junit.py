"""What a CI system reads: every benchmark is a test case, and the counts are those of the cases."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_gate import HOSTILE, RESULT

from mobileopt.gate.finding import Finding, Result
from mobileopt.report.junit import dump

OUTCOMES = ("worse", "ok", "unclear", "accepted")
texts = st.text(max_size=20)
found = st.builds(
    Finding, metric=texts, subject=texts, outcome=st.sampled_from(OUTCOMES), base=st.floats(0, 9),
    head=st.floats(0, 9), ratio=st.floats(0.1, 9), low=st.just(0.1), high=st.just(9.0),
    reason=texts,
)  # fmt: skip
results = st.builds(
    Result, base=texts, head=texts, findings=st.lists(found, max_size=6).map(tuple),
    threshold=st.just(0.05), seconds=st.floats(0, 1e6),
    skipped=st.dictionaries(texts, texts, max_size=3),
)  # fmt: skip


def read(result):
    return ElementTree.fromstring(dump(result).encode())


def one(outcome, reason="said so"):
    finding = Finding("latency", "net/x", outcome, 1.0, 2.0, 2.0, 1.5, 2.5, reason)
    return read(replace(RESULT, findings=(finding,), skipped={})).find("testcase")


def test_the_xml_is_well_formed_whatever_the_text():
    suite = read(RESULT)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "2")
    assert len(suite.findall("testcase")) == 5


@given(results)
def test_the_counts_are_those_of_the_cases(result):
    suite = read(result)
    assert suite.get("tests") == str(len(suite.findall("testcase")))
    assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
    assert (suite.get("errors"), len(suite.findall("testcase/error"))) == ("0", 0)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [("worse", "failure"), ("unclear", "skipped"), ("ok", "system-out"),
     ("accepted", "system-out")],
)  # fmt: skip
def test_a_case_says_what_its_benchmark_came_to_with_the_reason(outcome, told):
    [case] = one(outcome)
    assert case.tag == told
    assert "said so" in (case.get("message") or case.text)


def test_a_case_is_named_by_what_was_measured_and_of_what():
    case = one("ok")
    assert (case.get("classname"), case.get("name")) == ("latency", "net/x")


def test_what_was_not_compared_is_skipped_with_its_reason_whatever_the_reason():
    [case] = read(RESULT).findall("testcase[@classname='not compared']")
    assert case.get("name") == "net/new"
    message = case.find("skipped").get("message")
    assert "<script>alert(1)</script> `code` [x](y)??" in message
    assert HOSTILE.count("\n") == message.count("\n") == 1
