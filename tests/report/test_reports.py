import io
import json
import math

import pytest
from rich.console import Console
from test_verdicts import BASE, FUSED, INT8, MOBILE, NHWC, judge, judged_under_conditions

from mobileopt.report import json as json_report
from mobileopt.report import terminal


@pytest.fixture
def found():
    latencies = {BASE: 0.03, MOBILE: 0.03, NHWC: 0.01, FUSED: 0.03, INT8: 0.02}
    return judge(latencies, {BASE: 0.0, INT8: 0.25}, refused={"x": "[red]no[/red] such"})


def text(found, **options):
    file = io.StringIO()
    terminal.show(found, Console(file=file, width=200, **options))
    return file.getvalue()


def test_the_table_shows_each_variant_with_speed_size_and_fidelity(found):
    lines = text(found).splitlines()
    row = next(line for line in lines if NHWC in line)
    assert all(part in row for part in ("10.0 ms", "3.0", "1.00 MB", "100.0 dB", "100%"))
    assert "exact" in next(line for line in lines if BASE in line)


def test_the_second_table_shows_what_one_step_does(found):
    lines = text(found).splitlines()
    assert any("nchw to nhwc" in line and "faster" in line for line in lines)
    assert any("unfused to fused" in line and "no difference larger than" in line for line in lines)


def test_the_report_ends_with_the_advice_and_what_a_host_is_not(found):
    lines = text(found).splitlines()
    assert lines[-2].startswith("Ship ")
    assert "no phone" in lines[-1]


def test_a_reason_is_printed_as_it_is_never_as_markup(found):
    assert "not measured: x: [red]no[/red] such" in text(found)


def test_there_is_colour_on_a_terminal_only(found):
    assert "\x1b[" not in text(found)
    assert "\x1b[" in text(found, force_terminal=True)


def test_json_is_strict_and_holds_the_raw_samples(found):
    def refuse(name):
        raise AssertionError(name)

    document = json.loads(json_report.dump(found), parse_constant=refuse)
    assert document["variants"][0]["sqnr_db"] is None  # infinite
    assert len(document["wall_seconds"][NHWC]) == len(document["launches"]) == 24
    assert document["steps"][0]["comparison"]["verdict"] == "same"
    assert document["advice"] == found.advice


def test_json_gives_seconds_and_bytes(found):
    variant = json.loads(json_report.dump(found))["variants"][2]
    assert math.isclose(variant["latency_seconds"], 0.01, rel_tol=0.02)
    assert variant["size_bytes"] == 1_000_000


def test_memory_conditions_show_in_names_and_bring_their_counts():
    found = judged_under_conditions()
    lines = text(found).splitlines()
    assert any("page faults" in line and "allocations" in line for line in lines)
    row = next(line for line in lines if f"{NHWC} fresh-kept" in line)
    assert [cell.strip() for cell in row.split("│")[-3:-1]] == ["4", "7"]
    assert any("reused to fresh" in line for line in lines)
    variants = json.loads(json_report.dump(found))["variants"]
    assert [each["memory"] for each in variants[:2]] == ["reused-kept", "fresh-kept"]
    assert variants[1]["name"] != variants[0]["name"]
    assert variants[1]["allocations"] == {"count": 7, "bytes": 64}


def test_without_memory_conditions_the_table_has_no_counts(found):
    assert "page faults" not in text(found)
