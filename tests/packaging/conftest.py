from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from release.building import build

ROOT = Path(__file__).parents[2]
# What is no part of the project, or made from it.
NOT_COPIED = (
    ".git",
    ".venv*",
    ".matrix",
    ".*_cache",
    ".hypothesis",
    "_build",
    "build",
    "dist",
    "test-artifacts",
    "*.egg-info",
)


def copy_of_the_checkout(target: Path) -> Path:
    """Copy what the project's files are at this moment, so that nothing is left in the checkout."""
    ignored = shutil.ignore_patterns(*NOT_COPIED, "__pycache__")
    return Path(shutil.copytree(ROOT, target, ignore=ignored, symlinks=True))


@pytest.fixture(scope="session")
def dists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist and the wheel, as `dev.py build` makes them."""
    folder = tmp_path_factory.mktemp("dists")
    return build(copy_of_the_checkout(folder / "checkout"), folder / "dist")


@pytest.fixture(scope="session")
def sdist(dists: tuple[Path, Path]) -> Path:
    """The sdist."""
    return dists[0]


@pytest.fixture(scope="session")
def wheel(dists: tuple[Path, Path]) -> Path:
    """The wheel."""
    return dists[1]


def clean_venv(folder: Path, package: Path) -> Path:
    """Make a venv that has the package, and Airflow beside it; its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    # The folder alone: *.pth files in it, such as the one of this checkout's editable install, are not followed.
    Path(site, "airflow.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index")
    # What is beside it there has the same name: the package is to be put in front of it, and not in its place.
    subprocess.run([*pip, "--no-build-isolation", "--ignore-installed", package], check=True, env=_without_python())
    return python


def _without_python() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


@pytest.fixture(scope="session")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new venv that has the wheel, and Airflow beside it."""
    return clean_venv(tmp_path_factory.mktemp("clean"), wheel)


@pytest.fixture(scope="session")
def clean_env() -> dict[str, str]:
    """An environment in which this checkout is not on Python's path."""
    return _without_python()
