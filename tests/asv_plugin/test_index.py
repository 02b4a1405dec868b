from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import asv
import pytest

from mobileopt.asv_plugin import index, vendor
from mobileopt.asv_plugin.page import Page
from mobileopt.errors import CapabilityError

ASVS = (Path(asv.__file__).parent / "www" / "index.html").read_text(encoding="utf-8")
PAGES = [Page("variants", "Variants", lambda published: None)]
LOCAL = {name: f"vendor/{name}" for each in vendor.locked() for name, _ in each.files}


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_nothing_is_taken_from_elsewhere():
    html = index.patched(ASVS, PAGES, LOCAL)
    assert index.external(html) == []
    for script in Elements(html).all("script"):
        assert not str(script["src"]).startswith("http")


def test_scripts_keep_the_order_asv_loads_them_in():
    before = [url.rpartition("/")[2] for url in index.external(ASVS)]
    html = index.patched(ASVS, PAGES, LOCAL)
    places = [html.index(LOCAL[name]) for name in before]
    assert places == sorted(places)


def test_no_script_is_written_into_the_page():
    html = index.patched(ASVS, PAGES, LOCAL)
    assert all("src" in script for script in Elements(html).all("script"))
    assert "onerror" not in html


def test_the_policy_lets_only_the_site_itself_be_asked():
    html = index.patched(ASVS, PAGES, LOCAL)
    (policy,) = [
        m["content"]
        for m in Elements(html).all("meta")
        if m.get("http-equiv", "").startswith("Content-S")
    ]
    assert "script-src 'self';" in policy
    assert "http" not in policy


def test_the_policy_comes_before_the_first_script():
    html = index.patched(ASVS, PAGES, LOCAL)
    assert html.index("Content-Security-Policy") < html.index("<script")


def test_without_local_files_asvs_cdns_stay_and_the_policy_names_them():
    html = index.patched(ASVS, PAGES, {})
    assert index.external(html) == index.external(ASVS)
    assert "script-src 'self' https://" in html


def test_a_page_gets_an_entry_a_place_and_its_script():
    elements = Elements(index.patched(ASVS, PAGES, LOCAL))
    assert {"href": "#/variants"} in elements.all("a")
    assert [each["id"] for each in elements.all("main")] == ["variants-display"]
    assert {"src": "mobileopt/variants.js"} in elements.all("script")


def test_the_label_of_a_page_is_escaped():
    html = index.patched(ASVS, [Page("x", "<b>&", lambda published: None)], LOCAL)
    assert "&lt;b&gt;&amp;" in html


@pytest.mark.parametrize(
    "place",
    ["<html>", "</head>", 'id="nav-li-regressions"', "A modal dialog box", "js_load_failure()"],
)
def test_a_page_of_asv_that_has_moved_on_is_refused(place: str):
    with pytest.raises(CapabilityError, match="0 times, not once"):
        index.patched(ASVS.replace(place, "<!-- gone -->"), PAGES, LOCAL)


def test_a_third_party_file_that_is_not_locked_is_named():
    html = ASVS.replace("jquery-3.3.1.min.js", "jquery-9.9.9.min.js")
    with pytest.raises(CapabilityError, match=r"asks for 'jquery-9\.9\.9\.min\.js'"):
        index.patched(html, PAGES, LOCAL)
