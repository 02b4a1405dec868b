"""What the browser's tests read off a page."""

from __future__ import annotations

from playwright.sync_api import Page

PHONE = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
DARK = {"color_scheme": "dark"}
SCREENS = {"wide": {}, "dark": DARK, "phone": PHONE, "phone-dark": {**PHONE, **DARK}}
SERIES = "p-model='resnet18'&p-recipe='fx-float-nhwc-mobile'&machine=bench-01"


def lines(page: Page, model: str) -> list[str]:
    section = page.locator(f"#variants-display section[aria-label={model}]")
    return section.locator(".mo-line").all_inner_texts()


def column(page: Page, model: str, title: str) -> list[str]:
    section = page.locator(f"#variants-display section[aria-label={model}]")
    titles = section.locator("th").all_inner_texts()
    return section.locator(f"tbody td:nth-child({titles.index(title) + 1})").all_inner_texts()


def drawn_pixels(page: Page, selector: str) -> int:
    """How many pixels of flot's canvases are not transparent."""
    return page.evaluate(
        """selector => [...document.querySelectorAll(selector + ' canvas')].map(canvas =>
            canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
                .filter((value, index) => index % 4 === 3 && value > 0).length
        ).reduce((a, b) => a + b, 0)""",
        selector,
    )


def violations(found: dict, impacts: set[str] | None = None) -> list[tuple[str, list[str]]]:
    return [
        (each["id"], [node["html"] for node in each["nodes"]][:3])
        for each in found["violations"]
        if impacts is None or each["impact"] in impacts
    ]
