"""The Series page in a real browser: bands, marks, doubts, and reading it by keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page
from site_store import REGRESSED

from browser.conftest import DOUBTED, HOSTILE, INVALID_FIRST, INVALID_LAST, Visit
from browser.look import SCREENS, violations

pytestmark = pytest.mark.browser
ALL_SCREENS = pytest.mark.parametrize("visit", SCREENS.values(), ids=SCREENS, indirect=True)


def query(benchmark: str, model: str, recipe: str) -> str:
    return f"?benchmark={benchmark}&machine=bench-01&p-model='{model}'&p-recipe='{recipe}'"


LATENCY = query("latency.time_forward", *DOUBTED)
MEMORY = query("memory.peakmem_forward", "resnet18", REGRESSED)


def readout(page: Page) -> str:
    return page.locator(".mo-readout").inner_text()


def test_a_series_has_its_results_and_the_bands_of_their_samples(visit: Visit):
    page = visit.series(LATENCY)
    assert page.locator("circle.mo-result, circle.mo-suspect").count() == 6
    assert page.locator("path.mo-quartiles").count() == 1
    assert page.locator("path.mo-interval").count() == 1


def test_a_metric_without_samples_has_no_band(visit: Visit):
    page = visit.series(MEMORY)
    assert page.locator("path.mo-quartiles, path.mo-interval").count() == 0


def test_a_change_is_marked_where_it_came_with_its_size(visit: Visit):
    page = visit.series(MEMORY)
    assert page.locator("svg.mo-plot line.mo-mark.mo-worse").count() == 1
    assert page.locator("text.mo-label").all_text_contents() == ["+50 %"]
    mark = page.locator("svg.mo-plot line.mo-mark").bounding_box()["x"]
    dots = [each.bounding_box()["x"] for each in page.locator("circle.mo-result").all()]
    assert dots[2] < mark < dots[3] + 8


def test_a_suspect_result_is_hollow_and_an_invalid_one_crossed(visit: Visit):
    page = visit.series(LATENCY)
    assert page.locator("circle.mo-suspect").count() == 1
    assert page.locator("svg path.mo-invalid").count() == 1
    assert "suspect" in page.locator(".mo-body .mo-legend").inner_text()


def crossed(page: Page) -> tuple[float, list[float]]:
    """Where the only cross is, and the results, from the left of the screen."""

    def middle(element) -> float:
        box = element.bounding_box()
        return box["x"] + box["width"] / 2

    results = [middle(each) for each in page.locator("circle.mo-result").all()]
    return middle(page.locator("svg path.mo-invalid")), results


def test_an_invalid_run_newer_than_every_result_is_crossed_at_the_end(visit: Visit):
    page = visit.series(query("latency.time_forward", *INVALID_LAST))
    cross, results = crossed(page)
    assert len(results) == 5
    assert cross == pytest.approx(results[-1], abs=1)
    assert "invalid on 2026-01-06: too hot" in readout(page)


def test_an_invalid_run_older_than_every_result_is_crossed_at_the_beginning(visit: Visit):
    page = visit.series(query("latency.time_forward", *INVALID_FIRST))
    cross, results = crossed(page)
    assert len(results) == 5
    assert cross == pytest.approx(results[0], abs=1)
    page.get_by_label("Result", exact=True).press("Home")
    assert "invalid on 2026-01-01: charging" in readout(page)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("machine=bench-01", "machine=scrapped", "machine scrapped"),
        (DOUBTED[1], "fused-float-nchw-gone", "recipe fused-float-nchw-gone"),
        ("time_forward", "time_backward", "benchmark latency.time_backward"),
    ],
)
def test_an_address_of_what_is_gone_says_that_another_series_is_shown(
    visit: Visit, old: str, new: str, said: str
):
    page = visit.series(LATENCY.replace(old, new))
    told = page.locator("#series-display [role=status]").inner_text()
    assert told == f"Not here, or not any more: {said}; another series is shown."


def test_an_address_of_what_is_there_says_nothing_of_the_kind(visit: Visit):
    assert visit.series(LATENCY).locator("#series-display [role=status]").count() == 0


def test_the_reasons_of_a_doubt_are_read_out_as_text(visit: Visit):
    page = visit.series(LATENCY)
    slider = page.get_by_label("Result", exact=True)
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert f"invalid: screen on {HOSTILE}" in readout(page)
    page.keyboard.press("ArrowLeft")
    assert "suspect: throttled; 41 °C" in readout(page)
    assert page.locator("#series-display img").count() == 0


def test_the_pointer_reads_out_the_nearest_result(visit: Visit):
    page = visit.series(LATENCY)
    newest = readout(page)
    box = page.locator("circle.mo-result").first.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 40)
    page.wait_for_function(
        "old => document.querySelector('.mo-readout').innerText !== old", arg=newest
    )
    assert "2026-01-01" in readout(page)
    assert "40 samples" in readout(page)


def test_the_axis_can_begin_at_zero(visit: Visit):
    page = visit.series(LATENCY)
    before = page.locator("text.mo-tick").all_text_contents()
    page.get_by_label("from zero").check()
    after = page.locator("text.mo-tick").all_text_contents()
    assert "0" in after
    assert "0" not in before


def test_another_series_is_chosen_by_its_parameters(visit: Visit):
    page = visit.series(LATENCY)
    page.get_by_label("Model").focus()
    page.get_by_label("Model").select_option(label="mobilenet_v2")
    page.wait_for_url("**mobilenet_v2**")
    page.wait_for_function(
        "document.querySelector('#series-display h1').textContent.startsWith('mobilenet_v2')"
    )
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_a_series_without_a_change_says_so(visit: Visit):
    page = visit.series(LATENCY)
    assert "No changes found in 6 results." in page.locator("#series-display").inner_text()


def test_a_combination_that_was_never_measured_says_so(visit: Visit):
    address = query("latency.time_forward", "annotated_conv_bn_relu", "unfused-float-nchw-lite")
    page = visit.open(f"#/series{address}")
    page.get_by_text("This was not measured on bench-01.").wait_for()


def test_a_figure_of_the_variants_page_leads_to_its_series(visit: Visit):
    page = visit.variants("?machine=bench-01&model=resnet18")
    page.locator("section a.mo-line").first.click()
    page.wait_for_selector("#series-display svg.mo-plot")
    assert page.locator("#series-display h1").inner_text().startswith("resnet18 / ")


def test_asvs_own_graph_is_one_step_away(visit: Visit):
    page = visit.series(LATENCY)
    page.get_by_role("link", name="compare with others").click()
    page.wait_for_selector("#main-graph canvas")
    assert page.locator("#series-display").is_hidden()


@ALL_SCREENS
def test_nothing_sticks_out_of_the_screen(visit: Visit):
    page = visit.series(MEMORY)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@ALL_SCREENS
def test_axe_finds_nothing_on_the_series_page(visit: Visit, axe: str):
    page = visit.series(LATENCY)
    page.evaluate(axe)
    assert violations(page.evaluate("axe.run()")) == []


def test_names_from_result_files_are_shown_as_text(hostile_visit: Visit):
    page = hostile_visit.series()
    assert HOSTILE in page.locator("#series-display").inner_text()
    assert page.locator("#series-display img, #series-display script").count() == 0
    assert page.title() != "owned"
