"""What README and the tutorial have a newcomer type, in the words of these pages, and without the network."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.packaging.conftest import copy_of_the_checkout

COMMANDS = """
python3 dev.py build
python3 -m venv ~/first-sync/venv
~/first-sync/venv/bin/pip install "$(echo $PWD/dist/*.whl)[emulator]"
source ~/first-sync/venv/bin/activate
pip install dist/airflow_provider_sfleads-*.whl
"""
STAMP = "import dev, json; venv, own = dev.wanted_stamps(); dev.STAMP.write_text(json.dumps(venv | own))"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this one whose `.venv` is ready."""
    folder = copy_of_the_checkout(tmp_path / "checkout")
    venv.create(folder / ".venv", symlinks=True)
    places = {"base": str(folder / ".venv"), "platbase": str(folder / ".venv")}
    Path(sysconfig.get_path("purelib", vars=places), "ours.pth").write_text(sysconfig.get_path("purelib"))
    subprocess.run([folder / ".venv/bin/python", "-c", STAMP], cwd=folder, check=True)
    return folder


@pytest.mark.timeout(600)
def test_the_wheel_is_built_and_installed_as_the_pages_say(checkout: Path, tmp_path: Path) -> None:
    """Of what it depends on nothing is fetched: those are other people's packages."""
    path = os.pathsep.join((str(checkout / ".venv/bin"), os.environ["PATH"]))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    env |= {"HOME": str(tmp_path), "PATH": path, "PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
    subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", COMMANDS], cwd=checkout, env=env, check=True)

    python = tmp_path / "first-sync/venv/bin/python"
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, env=env)
    assert "airflow-provider-sfleads" in [row["name"] for row in json.loads(listed.stdout)]
