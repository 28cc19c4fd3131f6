"""Builds the sdist, and the wheel from the sdist, so that the same commit gives the same bytes everywhere."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

_FOLDER, _PROGRAM, _FILE = 0o755, 0o755, 0o644


def moment_of(root: Path) -> int:
    """Return the time, in seconds since 1970, that stands for all times in what is built.

    It is ``SOURCE_DATE_EPOCH``, or when the newest commit was made, or, in an unpacked sdist, what its files say.
    """
    if told := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(told)
    if (root / ".git").exists():
        command = ("git", "-C", root, "log", "-1", "--format=%ct")
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return int((root / "pyproject.toml").stat().st_mtime)


def build(root: Path, out: Path) -> tuple[Path, Path]:
    """Build both into a folder, in place of earlier ones of this project there.

    :return: the sdist and the wheel.
    """
    moment = moment_of(root)
    _tidy(root)
    for old in (*out.glob("airflow_provider_sfleads-*.tar.gz"), *out.glob("airflow_provider_sfleads-*.whl")):
        old.unlink()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name, "sdist")
        _run_build("--sdist", root, made, moment)
        _tidy(root)
        (found,) = made.glob("*.tar.gz")
        sdist = _repack(found, out / found.name, moment)
        with tarfile.open(sdist) as archive:
            archive.extractall(name, filter="data")
        made = Path(name, "wheel")
        _run_build("--wheel", Path(name, sdist.name.removesuffix(".tar.gz")), made, moment)
        (found,) = made.glob("*.whl")
        return sdist, Path(shutil.copy(found, out / found.name))


def _tidy(root: Path) -> None:
    """Remove what setuptools leaves behind: it would pack files from there, and Airflow would find two plugins."""
    for rest in (root / "build", *root.glob("*.egg-info")):
        shutil.rmtree(rest, ignore_errors=True)


def _run_build(kind: str, source: Path, out: Path, moment: int) -> None:
    # setuptools is the pinned one of this venv, not the newest that an index has.
    command = (sys.executable, "-m", "build", "--no-isolation", kind, "--outdir", out, source)
    env = os.environ | {"SOURCE_DATE_EPOCH": str(moment)}
    # Files that setuptools makes go into the wheel with the mode that they have on disk.
    done = subprocess.run(
        command, env=env, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, umask=0o022
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nThe {kind.removeprefix('--')} cannot be built.")


def _repack(made: Path, target: Path, moment: int) -> Path:
    """Write an archive again without what only this machine knows: times, owners, the umask, the order of a folder."""
    with (
        tarfile.open(made) as source,
        target.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=moment) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            entry = tarfile.TarInfo(member.name)
            entry.type, entry.size, entry.mtime = member.type, member.size, moment
            entry.mode = _FOLDER if member.isdir() else _PROGRAM if member.mode & 0o100 else _FILE
            archive.addfile(entry, source.extractfile(member) if member.isreg() else None)
    return target
