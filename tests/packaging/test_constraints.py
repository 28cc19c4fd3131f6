"""The constraints give every machine the same, wherever it gets its packages from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "constraints-3.11.txt").read_text()
# Lines that end in a backslash go on in the next.
LINES = [line for line in TEXT.replace("\\\n", "").splitlines() if line and not line.startswith("#")]
PINS = [Requirement(line.split("--hash")[0]) for line in LINES]


def wanted() -> list[str]:
    """Return everything that pyproject.toml asks for, each once."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = settings["project"]
    lists = [
        project["dependencies"],
        *project["optional-dependencies"].values(),
        *settings["dependency-groups"].values(),
    ]
    lists.append(settings["build-system"]["requires"])
    return sorted({text for texts in lists for text in texts if isinstance(text, str)})


def test_no_address() -> None:
    """Neither an index nor a file of some machine is named."""
    assert not re.search(r"://|^\s*-(?!-hash=)|\s@\s|#.*/", TEXT, re.MULTILINE)


def test_pinned_with_hashes() -> None:
    """Each line is a name, one version, perhaps a marker, and hashes."""
    shape = re.compile(r"[a-z0-9.-]+==[^\s;]+( ; .+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in LINES if not shape.fullmatch(line)] == []


@pytest.mark.parametrize("text", wanted())
def test_up_to_date_with_the_project(text: str) -> None:
    """What pyproject.toml asks for is pinned, at a version that it allows; else run `python3 dev.py lock`."""
    requirement = Requirement(text)
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(requirement.name)]
    assert pins
    for pin in pins:
        assert requirement.specifier.contains(next(iter(pin.specifier)).version)


def test_airflow_is_the_version_to_develop_on() -> None:
    """Airflow is pinned at 3.3.2."""
    assert [str(pin) for pin in PINS if pin.name == "apache-airflow"] == ["apache-airflow==3.3.2"]
