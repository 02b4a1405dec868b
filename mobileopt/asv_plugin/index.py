"""asv's own index.html, changed into the site's: pages added, third parties taken home.

asv's JavaScript knows only the pages it was written with, so the page itself has to be
changed. Each change names the one place it expects; when asv's page has moved on, publishing
stops with a sentence instead of producing a site that is half of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape
from urllib.parse import urlsplit

from mobileopt.asv_plugin.page import Page
from mobileopt.errors import CapabilityError

OWN = "mobileopt"
_EXTERNAL = re.compile(
    r'<(?P<tag>script|link)\b[^>]*?\b(?:src|href)="(?P<url>https://[^"]+)"[^>]*>(?:</script>)?'
)
_FAILURE_SCRIPT = re.compile(
    r'<script type="text/javascript">\s*function js_load_failure\(\) \{.*?\}\s*</script>', re.DOTALL
)
_REGRESSIONS_ENTRY = '<li id="nav-li-regressions"><a href="#/regressions">Regressions</a></li>'
_RANGE = '<input id="range"'
_ERROR_DIALOG = "<!-- A modal dialog box for displaying error messages -->"


def patched(html: str, pages: Iterable[Page], local: Mapping[str, str]) -> str:
    """The site's index.html from asv's: `local` has the site's own file for each of asv's names.

    With `local` empty the third-party files stay on asv's CDNs. Raises CapabilityError when
    asv's page lacks a place that is changed here, or asks for a file that is not in `local`.
    """
    html = _with_local_files(html, local)
    html = html.replace(' onerror="js_load_failure()"', "")
    html = _replace(html, "<html>", '<html lang="en">')
    html = _substitute(html, _FAILURE_SCRIPT, f'<script src="{OWN}/loading.js"></script>')
    html = _replace(html, "<title>", _meta(html) + "<title>")
    html = _replace(html, "</head>", _scripts(pages) + "</head>")
    html = _replace(html, _RANGE, _RANGE + ' aria-label="Commits chosen"')
    html = _replace(html, _REGRESSIONS_ENTRY, _REGRESSIONS_ENTRY + _entries(pages))
    return _replace(html, _ERROR_DIALOG, _displays(pages) + _ERROR_DIALOG)


def external(html: str) -> list[str]:
    """The addresses of scripts and styles a page takes from elsewhere."""
    return [match["url"] for match in _EXTERNAL.finditer(html)]


def _with_local_files(html: str, local: Mapping[str, str]) -> str:
    if not local:
        return html
    asked = {url: url.rpartition("/")[2] for url in external(html)}
    unknown = sorted(set(asked.values()) - set(local))
    if unknown:
        raise CapabilityError(f"asv's index.html asks for {unknown[0]!r}, which is not locked here")

    def home(match: re.Match[str]) -> str:
        file = local[asked[match["url"]]]
        if match["tag"] == "script":
            return f'<script src="{file}"></script>'
        return f'<link rel="stylesheet" href="{file}">'

    return _EXTERNAL.sub(home, html)


def _meta(html: str) -> str:
    # Names of machines, models and parameters reach asv's own pages unescaped in places. The
    # policy lets no inline script run and no other host be asked, whatever a result file says.
    hosts = sorted({"https://" + urlsplit(url).netloc for url in external(html)})
    scripts = " ".join(["'self'", *hosts])
    policy = (
        f"default-src 'self'; script-src {scripts}; style-src {scripts} 'unsafe-inline'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'"
    )
    return (
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '    <meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '    <meta name="color-scheme" content="light dark">\n    '
    )


def _scripts(pages: Iterable[Page]) -> str:
    names = ["compat", "pages", "units", "table", "plot", *(page.name for page in pages)]
    tags = [f'<script src="{OWN}/{name}.js"></script>' for name in names]
    style = f'<link rel="stylesheet" href="{OWN}/site.css">'
    return "  " + "\n    ".join([*tags, style]) + "\n  "


def _entries(pages: Iterable[Page]) -> str:
    return "".join(
        f'\n        <li id="nav-li-{page.name}">'
        f'<a href="#/{page.name}">{escape(page.label)}</a></li>'
        for page in pages
        if page.label
    )


def _displays(pages: Iterable[Page]) -> str:
    return "".join(
        f'<main id="{page.name}-display" class="mobileopt-page" hidden></main>\n\n    '
        for page in pages
    )


def _replace(html: str, old: str, new: str) -> str:
    return _substitute(html, re.compile(re.escape(old)), new)


def _substitute(html: str, pattern: re.Pattern[str], new: str) -> str:
    changed, count = pattern.subn(lambda _: new, html)
    if count != 1:
        raise CapabilityError(
            f"asv's index.html has {pattern.pattern[:60]!r} {count} times, not once; "
            "this mobileopt knows the page of asv 0.6.6"
        )
    return changed
