"""The published site in a real browser without a network: asv's own pages and the frame."""

from __future__ import annotations

import json
import re

import pytest
from site_store import MODELS, REGRESSED

from browser.conftest import Visit
from browser.look import DARK, SCREENS, SERIES, drawn_pixels, violations

pytestmark = pytest.mark.browser
ALL_SCREENS = pytest.mark.parametrize("visit", SCREENS.values(), ids=SCREENS, indirect=True)
PAGES = [
    "#/",
    "#/summarylist",
    "#/regressions",
    "#/variants",
    "#/changes",
    "#/series",
    "#latency.time_forward",
]


@pytest.mark.parametrize("route", PAGES)
def test_every_page_opens_without_a_network_and_without_an_error(visit: Visit, route: str):
    page = visit.open(route)
    page.wait_for_load_state("networkidle")
    assert "error.html" not in page.url
    assert page.locator("nav").is_visible()
    assert not page.locator("#error").is_visible()


def test_the_history_of_a_series_is_drawn(visit: Visit):
    page = visit.open(f"#latency.time_forward?{SERIES}")
    page.wait_for_selector("#main-graph canvas")
    assert drawn_pixels(page, "#main-graph") > 1000
    assert page.locator("#main-graph .legend").inner_text().strip() == (
        "model-resnet18; recipe-fx-float-nhwc-mobile"
    )


def test_the_settings_of_a_graph_can_be_switched_on_and_off_again(visit: Visit):
    page = visit.open(f"#latency.time_forward?{SERIES}")
    page.wait_for_selector("#main-graph canvas")
    page.click("#log-scale")
    page.wait_for_url("**y-axis-scale=log**")
    assert "active" in page.get_attribute("#log-scale", "class")
    page.click("#log-scale")
    page.wait_for_function("!location.hash.includes('log')")
    assert "active" not in page.get_attribute("#log-scale", "class")


@pytest.mark.parametrize(
    "query",
    ["x-axis=recipe", "x-axis-scale=date", "x-axis-scale=even", "y-axis-scale=log"],
    ids=["bars by recipe", "dates", "even spacing", "logarithmic"],
)
def test_every_kind_of_graph_is_drawn(visit: Visit, query: str):
    page = visit.open(f"#latency.time_forward?p-model='resnet18'&machine=bench-01&{query}")
    page.wait_for_selector("#main-graph canvas")
    assert drawn_pixels(page, "#main-graph") > 1000


def test_a_stretch_of_the_overview_can_be_selected(visit: Visit):
    page = visit.open(f"#latency.time_forward?{SERIES}")
    page.wait_for_selector("#overview canvas")
    before = page.input_value("#range")
    box = page.locator("#overview").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.1, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle)
    page.mouse.up()
    assert ".." in page.input_value("#range")
    assert page.input_value("#range") != before


def test_a_regression_is_listed_sorted_and_ignored(visit: Visit, project):
    page = visit.open("#/regressions")
    shown = page.locator("#regressions-body table:not(.ignored) tbody tr")
    shown.first.wait_for()
    # The other machine has but two results at the new level, which is no change yet.
    assert shown.count() == len(MODELS)
    assert REGRESSED in shown.first.inner_text()
    assert project.commits[3][:8] in shown.first.inner_text()
    page.locator("#regressions-body th", has_text="Date").first.click()
    page.wait_for_function("location.hash.includes('sort=1')")
    shown.first.get_by_role("button").click()
    assert shown.count() == len(MODELS) - 1


def test_the_tree_of_benchmarks_opens_and_leads_to_one(visit: Visit):
    page = visit.open(f"#latency.time_forward?{SERIES}")
    page.click("label.nav-header:has-text('size')")
    page.click("a[href='#size.track_artifact']")
    page.wait_for_function("document.querySelector('#title').textContent === 'size.track_artifact'")


def test_hovering_over_the_list_shows_its_graph(visit: Visit):
    page = visit.open("#/summarylist?machine=bench-01")
    page.locator(
        "#summarylist-body a", has_text="('resnet18', 'fx-float-nhwc-mobile')"
    ).first.hover()
    page.wait_for_selector(".popover canvas")
    page.wait_for_function("document.querySelector('.popover canvas').width > 50")


def test_a_script_that_does_not_arrive_leads_to_the_explanation(visit: Visit):
    visit.errors_expected = True
    visit.page.route("**/jquery.min.js", lambda route: route.abort())
    page = visit.open("#/")
    page.wait_for_url("**/error.html")
    assert "failed to load" in page.content()


def test_the_pages_are_reached_through_the_navigation_and_hide_each_other(visit: Visit):
    page = visit.open("#/")
    page.click("#nav-li-variants a")
    page.wait_for_selector("#variants-display section")
    assert not page.locator("#summarygrid-display").is_visible()
    assert page.get_attribute("#nav-li-variants", "class") == "active"
    page.click("#nav-li-summarylist a")
    page.wait_for_selector("#summarylist-body table")
    assert not page.locator("#variants-display").is_visible()
    page.click("#nav-li-variants a")
    page.wait_for_selector("#variants-display section")
    assert not page.locator("#summarylist-display").is_visible()


@ALL_SCREENS
@pytest.mark.parametrize("route", [*PAGES[:-1], f"#latency.time_forward?{SERIES}"])
def test_axe_finds_nothing_serious_on_asvs_own_pages(visit: Visit, axe: str, route: str):
    page = visit.open(route)
    page.wait_for_load_state("networkidle")
    page.evaluate(axe)
    assert violations(page.evaluate("axe.run()"), {"serious", "critical"}) == []


@ALL_SCREENS
@pytest.mark.parametrize("route", [*PAGES, f"#latency.time_forward?{SERIES}"])
def test_no_page_sticks_out_of_the_screen(visit: Visit, route: str):
    page = visit.open(route)
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


def test_asvs_buttons_work_by_the_keyboard(visit: Visit):
    page = visit.open(f"#latency.time_forward?{SERIES}")
    page.wait_for_selector("#main-graph canvas")
    page.locator("#log-scale").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**y-axis-scale=log**")
    assert "active" in page.get_attribute("#log-scale", "class")


@pytest.mark.parametrize("visit", [DARK], indirect=True)
@pytest.mark.parametrize("route", PAGES)
def test_every_page_is_dark_on_a_dark_screen(visit: Visit, route: str):
    page = visit.open(route)
    page.wait_for_load_state("networkidle")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", colour)[:3]) < 64


def test_no_script_in_a_result_file_runs_on_a_page_of_asv(hostile_visit: Visit):
    # asv's own pages put some names into HTML; the site's policy is what stops them there.
    hostile_visit.errors_expected = True
    for route in PAGES:
        page = hostile_visit.open(route)
        page.wait_for_load_state("networkidle")
        for button in page.locator(".asv-navigation:visible .btn").all()[:12]:
            button.hover()
        assert page.title() != "owned"
    page.wait_for_selector(".panel-heading img", state="attached")
    stopped = [each for each in hostile_visit.problems if "Content Security Policy" in each]
    assert stopped
    assert not [each for each in hostile_visit.problems if each.startswith("asked for")]


def test_the_data_of_the_page_is_strict_json(project):
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (project.html / "mobileopt" / "variants.json").read_text()
    assert json.loads(text, parse_constant=refuse)["environments"]
