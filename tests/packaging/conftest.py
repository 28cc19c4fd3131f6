from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the checkout, so that nothing is left there and nothing old gets in."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__"))
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", out, source], check=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new venv that has the wheel, and Airflow beside it."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel],
        check=True,
    )
    site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    # The folder alone: *.pth files in it, such as the one of this checkout's editable install, are not followed.
    (Path(site) / "airflow.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.fixture(scope="session")
def clean_env() -> dict[str, str]:
    """An environment in which this checkout is not on Python's path."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
