"""A real Chromium, shut off from every host but the site's own."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import site_store
from playwright.sync_api import Browser, Page, sync_playwright

from mobileopt.asv_plugin import vendor
from mobileopt.errors import CapabilityError

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
DOUBTED = ("resnet18", "fx-float-nchw-eager")
INVALID_LAST = ("resnet18", "fx-float-nhwc-mobile")
INVALID_FIRST = ("resnet18", site_store.LATE)
AXE = vendor.Package(
    name="axe-core",
    version="4.14.1",
    integrity=(
        "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASy"
        "FNNtuFooJpZe37OgudVGtQ=="
    ),
    files=(),
)


@dataclass
class Visit:
    """A page, and what went wrong on it: console errors, exceptions, requests elsewhere."""

    page: Page
    base: str
    problems: list[str] = field(default_factory=list)
    errors_expected: bool = False

    def open(self, route: str) -> Page:
        self.page.goto(self.base + route)
        return self.page

    def variants(self, query: str = "") -> Page:
        return self._ours("variants", query, "> section")

    def changes(self, query: str = "") -> Page:
        return self._ours("changes", query, "> header")

    def series(self, query: str = "") -> Page:
        return self._ours("series", query, "svg.mo-plot")

    def _ours(self, name: str, query: str, drawn: str) -> Page:
        self.open(f"#/{name}{query}")
        self.page.locator(f"#{name}-display {drawn}, #{name}-display [role=alert]").first.wait_for()
        # What went wrong is on the page, so a failure says it instead of running out of time.
        assert self.page.locator(f"#{name}-display [role=alert]").all_inner_texts() == []
        return self.page


def absent(reason: str) -> None:
    """Skip, but fail where the whole suite is meant to run."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        absent("no chromium on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    try:
        archives = vendor.obtain([AXE])
    except CapabilityError as error:
        absent(f"axe-core: {error}")
    return vendor.read(archives[AXE], "axe.min.js").decode("utf-8")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> site_store.Project:
    project = site_store.build(tmp_path_factory.mktemp("project") / "lab")
    site_store.doubt(project, 3, DOUBTED, "suspect", ["throttled", "41 °C"])
    site_store.doubt(project, 4, DOUBTED, "invalid", [f"screen on {HOSTILE}"])
    site_store.doubt(project, 5, INVALID_LAST, "invalid", ["too hot"])
    site_store.doubt(project, 0, INVALID_FIRST, "invalid", ["charging"])
    return _published(project)


@pytest.fixture(scope="session")
def hostile_project(tmp_path_factory: pytest.TempPathFactory) -> site_store.Project:
    folder = tmp_path_factory.mktemp("hostile") / "lab"
    models = {f"{HOSTILE}'\"</script><script>alert(1)</script>": 0.01, "resnet18": 0.07}
    return _published(
        site_store.build(folder, machines=(HOSTILE, "bench-01"), models=models, extra=HOSTILE)
    )


def _published(project: site_store.Project) -> site_store.Project:
    try:
        vendor.obtain(vendor.locked())
    except CapabilityError as error:
        absent(f"third-party files: {error}")
    done = project.run("tools.publish")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return project


@pytest.fixture(scope="session")
def served(project: site_store.Project) -> Iterator[str]:
    yield from _serve(project.html)


@pytest.fixture(scope="session")
def hostile_served(hostile_project: site_store.Project) -> Iterator[str]:
    yield from _serve(hostile_project.html)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def _serve(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def visit(chromium: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    yield from _visit(chromium, served, getattr(request, "param", {}))


@pytest.fixture
def hostile_visit(chromium: Browser, hostile_served: str) -> Iterator[Visit]:
    yield from _visit(chromium, hostile_served, {})


def _visit(browser: Browser, base: str, options: dict[str, object]) -> Iterator[Visit]:
    settings = {"viewport": {"width": 1600, "height": 1000}, **options}
    context = browser.new_context(**settings)
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page(), base)

    def only_here(route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(base).netloc:
            route.continue_()
        else:
            visit.problems.append(f"asked for {route.request.url}")
            route.abort()

    context.route("**/*", only_here)
    visit.page.on("pageerror", lambda error: visit.problems.append(str(error)))
    visit.page.on(
        "console",
        lambda message: visit.problems.append(message.text) if message.type == "error" else None,
    )
    yield visit
    context.close()
    if not visit.errors_expected:
        assert visit.problems == []
