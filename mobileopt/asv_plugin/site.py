"""The publisher: asv calls it at the end of `asv publish`, and the site becomes ours.

It works on the folder asv has just filled, so `asv publish` and `asv preview` need no other
command. asv finds the class by its base; `order` puts it behind asv's own publishers.
"""

from __future__ import annotations

import json
import math
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from asv.console import log
from asv.publishing import OutputPublisher
from asv.util import UserError

from mobileopt.asv_plugin import changes, index, series, variants, vendor
from mobileopt.asv_plugin.page import Page
from mobileopt.errors import CapabilityError, MobileoptError
from mobileopt.publishing.outputs import Outputs
from mobileopt.publishing.publication import Publication, load

PAGES = (
    Page("variants", "Variants", variants.collect),
    Page("changes", "Changes", changes.collect),
    Page("series", None, series.collect, series.write),
)
_ASSETS = Path(__file__).with_name("assets")


class Site(OutputPublisher):
    """Adds the pages and the third-party files to the folder asv publishes into."""

    name: ClassVar[str] = "mobileopt"
    button_label: ClassVar[str] = "Variants"
    description: ClassVar[str] = "Variants of a model side by side"
    order: ClassVar[float] = math.inf

    @classmethod
    def publish(cls, conf: Any, repo: Any, benchmarks: Any, graphs: Any, revisions: Any) -> None:
        """Write the pages; asv prints the sentence of a UserError and exits with 1."""
        try:
            # Our own reading of the store: asv's graphs hold neither intervals nor quartiles.
            publication = load(conf, repo, benchmarks, only=set(revisions))
            add_pages(Outputs(Path(conf.html_dir)), publication)
        except MobileoptError as error:
            raise UserError(str(error)) from error


def add_pages(outputs: Outputs, publication: Publication) -> None:
    """Turn the folder of asv's site into the whole site.

    Raises CapabilityError when asv's page is not the one this was written for.
    """
    html = outputs.html
    local = _copy_third_parties(html)
    page = html / "index.html"
    text = page.read_text(encoding="utf-8")
    page.write_text(index.patched(text, PAGES, local), encoding="utf-8")
    own = html / index.OWN
    own.mkdir(exist_ok=True)
    for asset in sorted(_ASSETS.iterdir()):
        (own / asset.name).write_bytes(asset.read_bytes())
    for each in PAGES:
        data = json.dumps(each.data(publication), allow_nan=False, separators=(",", ":"))
        (own / f"{each.name}.json").write_text(data, encoding="utf-8")
        if each.files:
            each.files(outputs, publication)


def _copy_third_parties(html: Path) -> dict[str, str]:
    try:
        archives = vendor.obtain(vendor.locked())
    except CapabilityError as error:
        log.warning(
            f"the site will need the network, its scripts stay on asv's CDNs ({error}); publish "
            "once with npm and a network to have them kept"
        )
        return {}
    local: dict[str, str] = {}
    for package, archive in archives.items():
        folder = f"vendor/{package.name}-{package.version}"
        (html / folder).mkdir(parents=True)
        licenses = [package.license] if package.license else []
        contents = vendor.read_all(archive, [path for _, path in package.files] + licenses)
        for asked, path in package.files:
            local[asked] = f"{folder}/{PurePosixPath(path).name}"
            (html / local[asked]).write_bytes(contents[path])
        if package.license:
            (html / folder / "LICENSE.txt").write_bytes(contents[package.license])
    return local
