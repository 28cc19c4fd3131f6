"""The sdist is what a packager, or somebody without the repository, builds and tests from."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from release.building import build
from release.checking import sdist_problems
from tests.packaging.conftest import ROOT, clean_venv, copy_of_the_checkout


def test_sdist_holds_what_git_holds(sdist: Path) -> None:
    """Nothing is missing that building, checking and testing take, and nothing else got in."""
    if not (ROOT / ".git").exists():
        pytest.skip("This is no checkout: only git knows what belongs to the project.")
    assert sdist_problems(ROOT, sdist) == []


def test_sdist_needs_no_link(sdist: Path) -> None:
    """The Dags in the package are files there: archives of some systems know no links."""
    with tarfile.open(sdist) as archive:
        assert {member.type for member in archive.getmembers()} == {tarfile.REGTYPE, tarfile.DIRTYPE}


def test_the_same_files_give_the_same_bytes(dists: tuple[Path, Path], tmp_path: Path) -> None:
    """Whatever the times of the files, the umask and the folder are."""
    source = copy_of_the_checkout(tmp_path / "elsewhere")
    moment = int((source / "pyproject.toml").stat().st_mtime)
    for path in source.rglob("*.py"):
        os.utime(path, (moment - 1_000, moment - 1_000), follow_symlinks=False)
    before = os.umask(0o077)
    try:
        again = build(source, tmp_path / "dist")
    finally:
        os.umask(before)
    assert [path.name for path in again] == [path.name for path in dists]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in dists]


def test_airflow_shows_what_was_installed_from_the_sdist(
    sdist: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """Airflow finds the provider in a venv for which pip built it from the sdist."""
    python = clean_venv(tmp_path / "venv", sdist)
    code = (
        "import json; from airflow.providers_manager import ProvidersManager;"
        "import airflow_provider_sfleads as package;"
        "from airflow_provider_sfleads.examples.__main__ import examples;"
        "found = ProvidersManager().providers['airflow-provider-sfleads'];"
        "print(json.dumps([package.__file__, found.version, [each.name for each in examples()]]))"
    )
    done = subprocess.run(
        [python, "-c", code], check=True, cwd=tmp_path, env=clean_env, stdout=subprocess.PIPE, text=True
    )
    place, version, names = json.loads(done.stdout.splitlines()[-1])
    assert Path(place).is_relative_to(tmp_path / "venv")
    assert version in sdist.name
    assert names == sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
