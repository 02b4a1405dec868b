"""The gate's result as JUnit XML, which most CI systems show as tests."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mobileopt.gate.finding import Finding, Result
from mobileopt.report import xml
from mobileopt.report.gate import cells, in_order


def dump(result: Result) -> str:
    """One test case a benchmark: a failure is worse, a skip is not compared or cannot be told."""
    findings = in_order(result)
    unclear = [each for each in findings if each.outcome == "unclear"]
    suite = Element("testsuite", name="mobileopt check", tests=str(_count(result)))
    suite.set("failures", str(len(result.having("worse"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(unclear) + len(result.skipped)))
    suite.set("time", f"{result.seconds:.3f}")
    for finding in findings:
        _case(suite, finding)
    for name, reason in result.skipped.items():
        case = SubElement(suite, "testcase", classname="not compared", name=xml.text(name))
        SubElement(case, "skipped", message=xml.text(reason))
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: Element, finding: Finding) -> None:
    case = SubElement(
        suite, "testcase", classname=xml.text(finding.metric), name=xml.text(finding.subject)
    )
    told = xml.text(", ".join(cells(finding)[2:]))
    if finding.outcome == "worse":
        SubElement(case, "failure", message=told, type="worse").text = told
    elif finding.outcome == "unclear":
        SubElement(case, "skipped", message=told)
    else:
        SubElement(case, "system-out").text = told


def _count(result: Result) -> int:
    return len(result.findings) + len(result.skipped)
