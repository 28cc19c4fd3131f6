"""The constraints give every machine the same, wherever it gets its packages from."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix import ENVIRONMENTS

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints"
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
NEEDED: list[str] = SETTINGS["project"]["dependencies"]
#: As the documentation has it.
DOCUMENTED = "pip install -c constraints/mwaa-3.2.1-pins.txt dist/airflow_provider_sfleads-*.whl"
MWAA = ["mwaa-3.2.1", "mwaa-3.3.1"]
NAMES = ["newest", *(environment.name for environment in ENVIRONMENTS)]


def lines(name: str) -> list[str]:
    """Return what a file pins; lines that end in a backslash go on in the next."""
    text = (CONSTRAINTS / f"{name}.txt").read_text().replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins(name: str) -> dict[str, set[str]]:
    """Return the versions of each package in a file; several where they depend on the Python."""
    found: dict[str, set[str]] = {}
    for line in lines(name):
        pin = Requirement(line.split("--hash")[0])
        found.setdefault(canonicalize_name(pin.name), set()).add(next(iter(pin.specifier)).version)
    return found


def wanted() -> list[str]:
    """Return everything that pyproject.toml asks for development, each once."""
    lists = [
        NEEDED,
        *SETTINGS["project"]["optional-dependencies"].values(),
        *(texts for name, texts in SETTINGS["dependency-groups"].items() if name != "fab"),
    ]
    lists.append(SETTINGS["build-system"]["requires"])
    return sorted({text for texts in lists for text in texts if isinstance(text, str)})


@pytest.mark.parametrize("path", sorted(CONSTRAINTS.glob("*.txt")), ids=lambda path: path.stem)
def test_no_address(path: Path) -> None:
    """Neither an index nor a file of some machine is named."""
    assert not re.search(r"://|^\s*-(?!-hash=)|\s@\s|#.*/", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_pinned_with_hashes(name: str) -> None:
    """Each line is a name, one version, perhaps a marker, and hashes."""
    shape = re.compile(r"[a-z0-9.-]+==[^\s;]+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in lines(name) if not shape.fullmatch(line)] == []


@pytest.mark.parametrize("text", wanted())
def test_up_to_date_with_the_project(text: str) -> None:
    """What pyproject.toml asks for is pinned, at a version that it allows; else run `python3 dev.py lock`."""
    requirement = Requirement(text)
    found = pins("newest").get(canonicalize_name(requirement.name))
    assert found
    assert all(requirement.specifier.contains(version) for version in found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", NEEDED)
def test_each_environment_has_what_the_project_needs(text: str, name: str) -> None:
    """At a version that it allows."""
    requirement = Requirement(text)
    assert all(requirement.specifier.contains(version) for version in pins(name)[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("text", NEEDED)
def test_no_lower_bound_is_a_mere_claim(text: str) -> None:
    """Tests run on the very version that is the lowest one allowed."""
    requirement = Requirement(text)
    (bound,) = requirement.specifier
    (version,) = pins("airflow-3.1")[canonicalize_name(requirement.name)]
    assert (bound.operator, Version(version) == Version(bound.version)) == (">=", True)


@pytest.mark.parametrize("name", MWAA)
def test_what_mwaa_pins_is_what_is_tested(name: str) -> None:
    """No package differs from Amazon's list, and Airflow is the one of its name."""
    given = pins(f"{name}-pins")
    found = {package: versions for package, versions in pins(name).items() if package in given}
    assert found == {package: given[package] for package in found}
    assert found["apache-airflow"] == {name.removeprefix("mwaa-")}
    assert "apache-airflow-providers-fab" in found


def test_airflow_is_the_version_to_develop_on() -> None:
    """Airflow is pinned at 3.3.2."""
    assert pins("newest")["apache-airflow"] == {"3.3.2"}


@pytest.mark.parametrize("name", MWAA)
def test_amazons_image_lacks_what_the_installation_page_says(name: str) -> None:
    """All else that the project needs is there."""
    needed = {canonicalize_name(Requirement(text).name) for text in NEEDED}
    assert needed - set(pins(f"{name}-pins")) == {"simplejson"}


def _try_to_install(constraints: str, wheel: Path) -> str:
    """Let pip say what it would install from the wheel alone; returns what it says."""
    command = DOCUMENTED.replace("mwaa-3.2.1-pins", constraints).replace(
        "dist/airflow_provider_sfleads-*.whl", str(wheel)
    )
    offline = ("--dry-run", "--no-index", "--no-deps", "--ignore-installed")
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), *offline],
        cwd=ROOT,
        env=env,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize("name", MWAA)
def test_what_is_pinned_is_taken_as_constraints(name: str, wheel: Path) -> None:
    """The locks, which have hashes, are not: hence two files for each."""
    assert "Would install airflow-provider-sfleads" in _try_to_install(f"{name}-pins", wheel)
    assert "Hashes are required" in _try_to_install(name, wheel)
