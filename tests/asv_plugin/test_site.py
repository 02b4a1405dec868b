from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import asv
import pytest
import site_store

from mobileopt.asv_plugin import site

SCRIPTS = {path.name for path in site._ASSETS.glob("*.js")}


@pytest.fixture
def project(tmp_path: Path) -> site_store.Project:
    return site_store.build(tmp_path / "lab")


def test_plain_asv_publish_makes_the_whole_site(project: site_store.Project):
    done = project.run("asv", "publish")
    assert done.returncode == 0, done.stdout
    assert {path.name for path in (project.html / "mobileopt").iterdir()} == (
        SCRIPTS | {"site.css", "variants.json", "changes.json", "series.json", "series"}
    )
    assert 'href="#/variants"' in (project.html / "index.html").read_text()
    assert (project.html / "regressions.xml").is_file()
    assert (project.html / "regressions.json").is_file()


def test_publishing_again_replaces_the_site(project: site_store.Project):
    assert project.run("asv", "publish").returncode == 0
    assert project.run("asv", "publish").returncode == 0
    assert (project.html / "index.html").read_text().count("variants-display") == 1


def test_asv_preview_serves_the_site(project: site_store.Project):
    assert project.run("asv", "publish").returncode == 0
    command = [sys.executable, "-m", "asv", "preview", "--port", "0"]
    server = subprocess.Popen(
        command,
        cwd=project.folder,
        env={**os.environ, "PYTHONPATH": str(site_store.ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        said = iter(server.stdout.readline, "")
        address = next(found[0] for line in said if (found := re.search(r"http://\S+", line)))
        with urllib.request.urlopen(f"{address}mobileopt/variants.json") as answer:
            assert json.load(answer)["environments"]
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def test_each_page_is_listed_with_asvs_own(project: site_store.Project):
    project.run("asv", "publish")
    pages = json.loads((project.html / "index.json").read_text())["pages"]
    assert "mobileopt" in [name for name, *_ in pages]


def test_torch_is_never_imported():
    code = "import sys, mobileopt.asv_plugin, tools.publish; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(site_store.ROOT)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    )


def test_every_page_has_its_script():
    for page in site.PAGES:
        assert (site._ASSETS / f"{page.name}.js").is_file()


def test_third_parties_come_with_their_licences(project: site_store.Project):
    project.run("asv", "publish")
    folders = sorted((project.html / "vendor").iterdir())
    if not folders:
        pytest.skip("no npm and no cache")
    assert (project.html / "vendor" / "jquery-3.7.1" / "jquery.min.js").is_file()
    assert (project.html / "vendor" / "jquery-3.7.1" / "LICENSE.txt").is_file()


def test_without_npm_and_cache_the_site_stays_on_the_cdns_with_one_warning(
    project: site_store.Project, tmp_path: Path
):
    # An npm that fails is what a machine without a network has.
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('npm error network')\n")
    program.chmod(0o755)
    done = project.run(
        "tools.publish", PATH=f"{program.parent}:/usr/bin:/bin", XDG_CACHE_HOME=str(tmp_path / "no")
    )
    assert done.returncode == 0
    (warning,) = done.stderr.strip().splitlines()
    assert "stay on asv's CDNs" in warning
    assert "publish once with npm and a network" in warning
    html = (project.html / "index.html").read_text()
    assert "https://code.jquery.com" in html
    assert "mobileopt/variants.js" in html


def test_a_page_of_asv_that_has_moved_on_stops_asv_with_a_sentence(
    project: site_store.Project, tmp_path: Path
):
    # Another asv, first on the path, whose page lost an entry.
    moved = tmp_path / "moved"
    _copy_asv(moved)
    done = project.run("asv", "publish", PYTHONPATH=f"{moved}:{site_store.ROOT}")
    assert done.returncode == 1
    assert "asv's index.html has" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def _copy_asv(folder: Path) -> None:
    shutil.copytree(
        Path(asv.__file__).parent, folder / "asv", ignore=shutil.ignore_patterns("__pycache__")
    )
    page = folder / "asv" / "www" / "index.html"
    page.write_text(page.read_text().replace("nav-li-regressions", "nav-li-changes"))
