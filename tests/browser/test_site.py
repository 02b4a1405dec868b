"""The published site in a real browser without a network."""

from __future__ import annotations

import json
import re

import pytest
from site_store import BASELINE, MODELS, REGRESSED, SPEEDS

from browser.conftest import HOSTILE, Visit

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
DARK = {"color_scheme": "dark"}
ALL_SCREENS = pytest.mark.parametrize(
    "visit",
    [{}, DARK, PHONE, {**PHONE, **DARK}],
    ids=["wide", "dark", "phone", "phone-dark"],
    indirect=True,
)
PAGES = ["#/", "#/summarylist", "#/regressions", "#/variants", "#latency.time_forward"]
SERIES = "p-model='resnet18'&p-recipe='fx-float-nhwc-mobile'&machine=bench-01"


def lines(page, model: str) -> list[str]:
    section = page.locator(f"#variants-display section[aria-label={model}]")
    return section.locator(".mo-line").all_inner_texts()


def column(page, model: str, title: str) -> list[str]:
    section = page.locator(f"#variants-display section[aria-label={model}]")
    titles = section.locator("th").all_inner_texts()
    return section.locator(f"tbody td:nth-child({titles.index(title) + 1})").all_inner_texts()


def drawn_pixels(page, selector: str) -> int:
    """How many pixels of flot's canvases are not transparent."""
    return page.evaluate(
        """selector => [...document.querySelectorAll(selector + ' canvas')].map(canvas =>
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
                .filter((value, index) => index % 4 === 3 && value > 0).length
        ).reduce((a, b) => a + b, 0)""",
        selector,
    )


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
    assert shown.count() == 2 * len(MODELS)
    assert REGRESSED in shown.first.inner_text()
    assert project.commits[3][:8] in shown.first.inner_text()
    page.locator("#regressions-body th", has_text="Date").first.click()
    page.wait_for_function("location.hash.includes('sort=1')")
    shown.first.get_by_role("button").click()
    assert shown.count() == 2 * len(MODELS) - 1


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


def test_the_back_button_returns_from_a_history(visit: Visit):
    page = visit.variants()
    page.locator("a.mo-line").first.click()
    page.wait_for_selector("#main-graph canvas")
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
    page.wait_for_selector("#main-graph canvas")
    assert page.locator("#title").inner_text() == "latency.time_forward"
    assert page.locator("#main-graph .legend").inner_text().strip() == (
        "model-resnet18; recipe-fused-int8_x86-nhwc-torchscript"
    )
    state = page.locator("#graphdisplay-state-params .btn.active").all_inner_texts()
    assert state == ["pixel-4a"]
    assert not page.locator("#variants-display").is_visible()


def test_a_figure_of_the_table_leads_to_the_history_of_its_metric(visit: Visit):
    page = visit.variants()
    page.locator("section[aria-label=resnet18] tbody td a", has_text="kB").or_(
        page.locator("section[aria-label=resnet18] tbody td:nth-child(7) a")
    ).first.click()
    page.wait_for_selector("#main-graph canvas")
    assert page.locator("#title").inner_text() == "size.track_artifact"


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
    page.wait_for_selector("#main-graph canvas")
    assert drawn_pixels(page, "#main-graph") > 1000


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


@ALL_SCREENS
def test_axe_finds_nothing_serious_around_a_graph(visit: Visit, axe: str):
    page = visit.open(f"#latency.time_forward?{SERIES}")
    page.wait_for_selector("#main-graph canvas")
    page.evaluate(axe)
    # The panels and graphs are asv's; the frame around them is ours to keep readable.
    found = page.evaluate("axe.run({exclude: [['#graph-display']]})")
    assert violations(found, {"serious", "critical"}) == []


def violations(found: dict, impacts: set[str] | None = None) -> list[tuple[str, list[str]]]:
    return [
        (each["id"], [node["html"] for node in each["nodes"]][:3])
        for each in found["violations"]
        if impacts is None or each["impact"] in impacts
    ]


@pytest.mark.parametrize("visit", [DARK], indirect=True)
@pytest.mark.parametrize("route", PAGES)
def test_every_page_is_dark_on_a_dark_screen(visit: Visit, route: str):
    page = visit.open(route)
    page.wait_for_load_state("networkidle")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(int(part) for part in re.findall(r"\d+", colour)[:3]) < 64


def test_names_from_result_files_are_shown_as_text(hostile_visit: Visit):
    page = hostile_visit.variants()
    assert HOSTILE in page.locator("#variants-display").inner_text()
    for index in range(2):
        page.get_by_label("Machine").select_option(index=index)
        page.wait_for_timeout(200)
    assert page.locator("#variants-display img, #variants-display script").count() == 0
    assert page.title() != "owned"


def test_a_hostile_series_still_leads_to_its_history(hostile_visit: Visit):
    hostile_visit.errors_expected = True  # the policy reports what it stops in asv's panels
    page = hostile_visit.variants()
    page.locator("section a.mo-line").first.click()
    page.wait_for_selector("#main-graph canvas")
    assert page.title() != "owned"


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
