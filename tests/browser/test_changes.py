"""The Changes page in a real browser: the table, its filters, and where its links lead."""

from __future__ import annotations

import pytest
from site_store import MODELS, REGRESSED

from browser.conftest import HOSTILE, Visit
from browser.look import SCREENS, violations

pytestmark = pytest.mark.browser
ALL_SCREENS = pytest.mark.parametrize("visit", SCREENS.values(), ids=SCREENS, indirect=True)
ROWS = "#changes-display tbody tr"


def test_a_step_is_listed_with_its_size_series_commit_and_state(visit: Visit):
    page = visit.changes()
    row = page.locator(ROWS, has_text=f"resnet18/{REGRESSED}").first.inner_text()
    assert "+50 %" in row
    assert "memory.peakmem_forward" in row
    assert "work 3" in row
    assert "2026-01-04" in row
    assert "open" in row


def test_every_step_of_the_store_is_there_once(visit: Visit):
    page = visit.changes()
    # The second machine missed a commit, so that its step has but two results behind it.
    assert page.locator(ROWS).count() == len(MODELS)
    assert "3 got worse (3 open)" in page.locator("#changes-display [role=status]").inner_text()


def test_a_filter_narrows_the_table_and_stands_in_the_address(visit: Visit):
    page = visit.changes()
    page.get_by_label("Model").focus()
    page.get_by_label("Model").select_option(label="resnet18")
    page.wait_for_url("**model=resnet18**")
    page.wait_for_function(f"document.querySelectorAll('{ROWS}').length === 1")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_filters_that_fit_nothing_say_so_and_can_be_dropped(visit: Visit):
    page = visit.changes("?direction=better")
    assert "None of the 3 changes matches." in page.locator("#changes-display").inner_text()
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function(f"document.querySelectorAll('{ROWS}').length === 3")


def test_a_head_sorts_by_the_keyboard_both_ways(visit: Visit):
    page = visit.changes()
    button = page.locator("#changes-display th button", has_text="Series")
    button.focus()
    page.keyboard.press("Enter")
    ascending = page.locator(f"{ROWS} td:nth-child(2)").all_inner_texts()
    page.keyboard.press("Enter")
    descending = page.locator(f"{ROWS} td:nth-child(2)").all_inner_texts()
    assert ascending == descending[::-1]
    assert ascending != descending
    assert page.evaluate("document.activeElement.textContent") == "Series"


def test_a_change_leads_to_its_series(visit: Visit):
    page = visit.changes("?model=resnet18")
    page.locator(f"{ROWS} td:nth-child(2) a").click()
    page.wait_for_selector("#series-display svg.mo-plot")
    assert page.locator("#series-display h1").inner_text() == f"resnet18 / {REGRESSED}"
    assert page.locator("#series-display .mo-label").all_text_contents() == ["+50 %"]
    assert page.locator("#changes-display").is_hidden()


def test_a_commit_leads_to_where_the_project_shows_it(visit: Visit):
    page = visit.changes("?model=resnet18")
    address = page.locator(f"{ROWS} a.mo-commit").get_attribute("href")
    assert address.startswith("https://example.org/mobileopt/commit/")


@ALL_SCREENS
def test_nothing_sticks_out_of_the_screen(visit: Visit):
    page = visit.changes()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]


@ALL_SCREENS
def test_axe_finds_nothing_on_the_changes_page(visit: Visit, axe: str):
    page = visit.changes()
    page.evaluate(axe)
    assert violations(page.evaluate("axe.run()")) == []


def test_names_from_result_files_are_shown_as_text(hostile_visit: Visit):
    page = hostile_visit.changes()
    assert HOSTILE in page.locator("#changes-display").inner_text()
    assert page.locator("#changes-display img, #changes-display script").count() == 0
    assert page.title() != "owned"
