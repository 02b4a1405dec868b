"""The page of variants in a real browser."""

from __future__ import annotations

import re

import pytest
from site_store import BASELINE, SPEEDS

from browser.conftest import HOSTILE, Visit
from browser.look import SCREENS, column, lines, violations

pytestmark = pytest.mark.browser
ALL_SCREENS = pytest.mark.parametrize("visit", SCREENS.values(), ids=SCREENS, indirect=True)


def test_the_back_button_returns_from_a_history(visit: Visit):
    page = visit.variants()
    page.locator("a.mo-line").first.click()
    page.wait_for_selector("#series-display svg.mo-plot")
    page.go_back()
    page.wait_for_selector("#variants-display section")
    assert not page.locator("#graph-display").is_visible()


def test_bars_stand_fastest_first_with_the_ratio_the_samples_say(visit: Visit):
    page = visit.variants()
    shown = lines(page, "mobilenet_v2")
    assert len(shown) == len(SPEEDS)
    for line in shown:
        recipe, _, figure = line.partition("\n")
        if recipe == BASELINE:
            assert figure == "baseline"
        elif "unclear" not in figure:
            ratio = float(figure.split("x")[0])
            ratio = 1 / ratio if figure.endswith("slower") else ratio
            assert ratio == pytest.approx(SPEEDS[recipe], rel=0.03)
    ordered = [line.partition("\n")[0] for line in shown]
    clear = [recipe for recipe in ordered if abs(SPEEDS[recipe] - 1) > 0.05]
    assert clear == sorted(clear, key=SPEEDS.__getitem__, reverse=True)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?machine=scrapped", "machine scrapped; another machine is shown."),
        ("?machine=bench-01&model=vgg11", "model vgg11; all models are shown."),
    ],
)
def test_an_address_of_what_is_gone_says_what_is_shown_instead(visit: Visit, query: str, said: str):
    told = visit.variants(query).locator("#variants-display [role=status]").all_inner_texts()
    assert told == [f"Not here, or not any more: {said}"]


def test_an_interval_on_both_sides_of_one_is_called_unclear(visit: Visit):
    page = visit.variants()
    (line,) = [
        each for each in lines(page, "resnet18") if each.startswith("unfused-float-nhwc-eager")
    ]
    assert re.search(r"\d\.\d\dx, unclear$", line)


def test_the_bars_end_where_their_ratios_are(visit: Visit):
    page = visit.variants()
    section = page.locator("section[aria-label=mobilenet_v2]")
    one = section.locator(".mo-one").first.bounding_box()
    bars = section.locator("a.mo-line").all()
    for bar in bars:
        box = bar.locator(".mo-bar").bounding_box()
        figure = bar.locator(".mo-figure").inner_text()
        if figure.endswith("x faster"):
            ratio = box["width"] / (one["x"] - box["x"])
            assert ratio == pytest.approx(float(figure.removesuffix("x faster")), abs=0.02)


def test_a_very_long_interval_does_not_shrink_the_bars(visit: Visit):
    def stretch(route) -> None:
        data = route.fetch().json()
        for each in data["environments"][0]["models"][0]["rows"]:
            if "low" in each["ratio"]:
                each["ratio"]["high"] = 5000
        route.fulfill(json=data)

    visit.page.route("**/variants.json*", stretch)
    page = visit.variants()
    section = page.locator("#variants-display section").first
    track = section.locator(".mo-track").first.bounding_box()
    longest = section.locator(".mo-bar").first.bounding_box()
    assert longest["width"] > 0.7 * track["width"]
    assert page.evaluate("document.documentElement.scrollWidth") == 1600


def test_a_row_without_a_latency_says_so_and_keeps_its_other_figures(visit: Visit):
    def without(route) -> None:
        data = route.fetch().json()
        row = data["environments"][0]["models"][0]["rows"][1]
        del row["cells"]["latency"], row["ratio"]
        route.fulfill(json=data)

    visit.page.route("**/variants.json*", without)
    page = visit.variants()
    section = page.locator("#variants-display section").first
    assert section.locator(".mo-figure").last.inner_text() == "n/a"
    last = section.locator("tbody tr").last
    assert last.locator("td").nth(4).inner_text() == "n/a"
    assert "MB" in last.locator("td").nth(6).inner_text()


def test_data_that_does_not_arrive_is_said_on_the_page(visit: Visit):
    visit.errors_expected = True
    visit.page.route("**/variants.json*", lambda route: route.fulfill(status=500))
    page = visit.open("#/variants")
    assert "answered 500" in page.locator("#variants-display [role=alert]").inner_text()


def test_a_combination_that_does_not_exist_is_not_listed(visit: Visit):
    page = visit.variants()
    assert not [line for line in lines(page, "annotated_conv_bn_relu") if "lite" in line]


def test_the_newest_commit_with_a_result_is_shown(visit: Visit, project):
    page = visit.variants()
    recipes = list(
        zip(
            *(
                column(page, "resnet18", slot)
                for slot in ("Fusion", "Precision", "Layout", "Backend")
            ),
            strict=True,
        )
    )
    commits = dict(zip(recipes, column(page, "resnet18", "Commit"), strict=True))
    assert commits["fx", "float", "nhwc", "mobile"] == project.commits[-2][:8]
    assert commits["fx", "float", "nchw", "eager"] == project.commits[-1][:8]


def test_figures_have_their_units(visit: Visit):
    page = visit.variants("?machine=bench-01&model=mobilenet_v2")
    row = column(page, "mobilenet_v2", "Precision").index("int8_x86")

    def figure(title: str) -> str:
        return column(page, "mobilenet_v2", title)[row]

    assert re.fullmatch(r"10\.\d ms\s+10\.\d\u201310\.\d", figure("Latency"))
    assert re.fullmatch(r"2\.\d\dx faster\s+2\.\d\d\u20132\.\d\d", figure("Against baseline"))
    assert figure("Size") == "3.69 MB"
    assert figure("SQNR") == "33.6 dB"
    assert figure("Top-1 agreement") == "98.4 %"
    assert figure("Peak memory") == "326 MB"
    assert "exact" in column(page, "mobilenet_v2", "SQNR")


def test_a_head_sorts_the_table_and_a_second_time_turns_it_over(visit: Visit):
    page = visit.variants()
    section = page.locator("section[aria-label=resnet18]")
    button = section.locator("th button", has_text="Size")
    button.click()
    sizes = [float(text.split()[0]) for text in column(page, "resnet18", "Size")]
    assert sizes == sorted(sizes)
    assert section.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    button.click()
    turned = [float(text.split()[0]) for text in column(page, "resnet18", "Size")]
    assert turned == sorted(sizes, reverse=True)
    assert section.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"


def test_a_bar_leads_to_the_history_of_its_series(visit: Visit):
    page = visit.variants("?machine=pixel-4a")
    page.locator("section[aria-label=resnet18] a.mo-line", has_text="fused-int8_x86").click()
    page.wait_for_selector("#series-display svg.mo-plot")
    heading = page.locator("#series-display h1").inner_text()
    assert heading == "resnet18 / fused-int8_x86-nhwc-torchscript"
    assert "latency.time_forward \u00b7 pixel-4a" in page.locator("#series-display").inner_text()
    assert not page.locator("#variants-display").is_visible()


def test_a_figure_of_the_table_leads_to_the_history_of_its_metric(visit: Visit):
    page = visit.variants()
    page.locator("section[aria-label=resnet18] tbody td a", has_text="kB").or_(
        page.locator("section[aria-label=resnet18] tbody td:nth-child(7) a")
    ).first.click()
    page.wait_for_selector("#series-display svg.mo-plot")
    assert "size.track_artifact" in page.locator("#series-display header").inner_text()


def test_the_page_works_by_keyboard(visit: Visit):
    page = visit.variants()
    page.keyboard.press("Tab")
    seen = []
    while "mo-line" not in seen[-1:]:
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.classList[0] || document.activeElement.tagName")
        )
        assert len(seen) < 30, seen
    assert "SELECT" in seen
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#series-display svg.mo-plot")


def test_a_head_is_sorted_by_enter_and_keeps_the_focus(visit: Visit):
    page = visit.variants()
    button = page.locator("section[aria-label=resnet18] th button", has_text="Latency")
    button.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Latency"
    assert page.locator("section[aria-label=resnet18] th[aria-sort]").inner_text() == "Latency"


def test_choosing_a_machine_changes_the_address_and_the_figures(visit: Visit):
    page = visit.variants("?machine=bench-01")
    before = column(page, "resnet18", "Latency")
    page.get_by_label("Machine").focus()
    page.get_by_label("Machine").select_option(label="pixel-4a")
    page.wait_for_url("**machine=pixel-4a**")
    page.wait_for_function("document.querySelector('.mo-note').textContent.startsWith('pixel-4a')")
    assert column(page, "resnet18", "Latency") != before
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_choosing_a_model_shows_that_one_alone(visit: Visit):
    page = visit.variants()
    page.get_by_label("Model").select_option(label="resnet18")
    page.wait_for_url("**model=resnet18**")
    page.wait_for_function("document.querySelectorAll('#variants-display section').length === 1")
    assert page.locator("#variants-display h2").all_inner_texts() == ["resnet18"]


@ALL_SCREENS
def test_nothing_sticks_out_of_the_screen(visit: Visit):
    page = visit.variants()
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for figure in page.locator(".mo-figure").all():
        box = figure.bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width


@ALL_SCREENS
def test_axe_finds_nothing_on_the_variants_page(visit: Visit, axe: str):
    page = visit.variants()
    page.evaluate(axe)
    assert violations(page.evaluate("axe.run()")) == []


def test_names_from_result_files_are_shown_as_text(hostile_visit: Visit):
    page = hostile_visit.variants()
    assert HOSTILE in page.locator("#variants-display").inner_text()
    for index in range(2):
        page.get_by_label("Machine").select_option(index=index)
        page.wait_for_timeout(200)
    assert page.locator("#variants-display img, #variants-display script").count() == 0
    assert page.title() != "owned"


def test_a_hostile_series_still_leads_to_its_history(hostile_visit: Visit):
    page = hostile_visit.variants()
    page.locator("section a.mo-line").first.click()
    page.wait_for_selector("#series-display svg.mo-plot")
    assert page.title() != "owned"
