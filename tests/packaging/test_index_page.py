"""What a package index, and Airflow's list of providers, show of the project."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest

from airflow_provider_sfleads import plugin
from airflow_provider_sfleads.get_provider_info import get_provider_info
from setup import readable
from tests.packaging.conftest import ROOT

URLS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
HOME = URLS["Documentation"]
STATIC = ROOT / "airflow_provider_sfleads/ui/static"
LOGO = ROOT / "docs/_static/logo.svg"
TEXTS = {".cfg", ".in", ".md", ".py", ".toml", ".yaml", ".yml"}


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """The wheel's metadata."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_an_index_takes_both_and_shows_them(dists: tuple[Path, Path]) -> None:
    """`twine check --strict`, as before an upload."""
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *dists], check=False)
    assert done.returncode == 0


def test_every_link_of_the_description_leads_somewhere(metadata: Message) -> None:
    """README's own are relative, and an index has no files beside it."""
    text = str(metadata.get_payload())
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'\bsrc="([^"]+)"', text)
    assert any(target.startswith(HOME) for target in targets)
    assert [target for target in targets if not target.startswith("#") and urlsplit(target).scheme != "https"] == []


def test_links_of_readme_become_those_of_the_documentation() -> None:
    """Pages, their headings and pictures; what is not in the documentation is named, and not linked."""
    text = (
        "[one](docs/how-to/one.md#two), [here](#there), [log](CHANGELOG.md), [code](dev.py), [a](https://a.example/), "
        '![seen](docs/images/page.png) <img width="9" src="docs/_static/logo.svg">'
    )
    assert readable(text, "https://example.org/en/") == (
        "[one](https://example.org/en/how-to/one.html#two), [here](#there), "
        "[log](https://example.org/en/changelog.html), code, [a](https://a.example/), "
        '![seen](https://example.org/en/_images/page.png) <img width="9" src="https://example.org/en/_static/logo.svg">'
    )


@pytest.mark.parametrize("text", ["![seen](tests/page.png)", '<img src="page.png">'])
def test_a_picture_that_nobody_would_see_stops_the_build(text: str) -> None:
    """It has to be in the documentation."""
    with pytest.raises(ValueError, match=r"page\.png"):
        readable(text, HOME)


def test_the_documentation_has_one_address(metadata: Message) -> None:
    """Whatever file names it, and whatever page of it."""
    assert metadata.get_all("Project-URL") == [f"{name}, {url}" for name, url in URLS.items()]
    own = re.compile(r"https?://airflow-provider-sfleads\.[\w./-]+")
    files = [path for path in ROOT.rglob("*") if path.suffix in TEXTS and not {".venv", "_build"} & set(path.parts)]
    named = {found for path in files for found in own.findall(path.read_text(encoding="utf-8"))}
    assert HOME in named
    assert {url for url in named if not url.startswith(HOME)} == set()


def test_airflow_links_its_list_of_providers_to_the_documentation(
    clean_python: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """What its list of providers takes from the installed wheel."""
    code = (
        "import json; from airflow.providers_manager import ProvidersManager;"
        "print(json.dumps(ProvidersManager().providers['airflow-provider-sfleads'].data))"
    )
    done = subprocess.run(
        [clean_python, "-c", code], check=True, cwd=tmp_path, env=clean_env, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == get_provider_info() | {"documentation-url": HOME}


def test_the_logo_is_a_file_of_the_documentation() -> None:
    """Sphinx serves the folder under the same name."""
    (integration,) = get_provider_info()["integrations"]
    assert integration["logo"] == f"{HOME}{LOGO.relative_to(ROOT / 'docs')}"


@pytest.mark.parametrize("path", [LOGO, *sorted(STATIC.glob("*.svg"))], ids=lambda path: path.name)
def test_pictures_are_plain(path: Path) -> None:
    """Square shapes of a few hundred bytes: no script, no font, nothing from elsewhere."""
    assert path.stat().st_size < 1_000
    root = ET.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314 - our own
    left, top, width, height = root.attrib["viewBox"].split()
    assert (left, top, width) == ("0", "0", height)
    names = {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in root.iter()}
    assert names <= {"svg", "rect", "path", "circle"}


def test_every_view_has_an_icon_for_each_mode() -> None:
    """They are files that the page's own route serves."""
    for view in plugin.SalesforceLeadsPlugin.react_apps:
        for name in ("icon", "icon_dark_mode"):
            place, _, file = view[name].rpartition("/")
            assert (f"/{place}", (STATIC / file).is_file()) == (f"{plugin.PREFIX}/static", True)
