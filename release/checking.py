"""Says what keeps a checkout from being released."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from itertools import pairwise
from pathlib import Path

from packaging.version import InvalidVersion, Version

NOT_YET = "not released"
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_NAMED = re.compile(rf"(?P<version>\S+) \((?P<date>\d{{4}}-\d\d-\d\d|{NOT_YET})\)")
# What a host or git itself needs; a release holds everything else that git does.
_NOT_IN_SDIST = re.compile(r"\.git.*|\.readthedocs\.ya?ml")
# What setuptools adds.
_ADDED = re.compile(r"PKG-INFO|[^/]+\.egg-info/.+|airflow_provider_sfleads/examples/dags/.+")
_FILES = ("ls-files", "--cached", "--others", "--exclude-standard")
_LINK = "airflow_provider_sfleads/examples/dags"


def changelog_problems(text: str) -> list[str]:
    """Say what is wrong with the form of a changelog, whether or not there is to be a release."""
    names = _HEADING.findall(text)
    if names[:1] != ["Unreleased"]:
        return ["CHANGELOG.md: the first heading is to be '## Unreleased'."]
    problems, versions = [], []
    for name in names[1:]:
        found = _NAMED.fullmatch(name)
        try:
            versions.append(Version(found["version"] if found else ""))
        except InvalidVersion:
            problems.append(f"CHANGELOG.md: '## {name}' is to be a version and its date: '## 1.2.3 (2026-01-31)'.")
        else:
            if found and found["date"] == NOT_YET and name != names[1]:
                problems.append(f"CHANGELOG.md: {name}, though a newer version follows.")
    if any(newer <= older for newer, older in pairwise(versions)):
        problems.append("CHANGELOG.md: the newest version is to come first.")
    return problems


def release_problems(changelog: str, version: str) -> list[str]:
    """Say what version and changelog still lack for a release."""
    problems = changelog_problems(changelog)
    if problems:
        return problems
    parts = _HEADING.split(changelog)
    if parts[2].strip():
        problems.append(f"CHANGELOG.md: move what is below '## Unreleased' to the heading of {version}.")
    newest = parts[3] if len(parts) > len(("", "Unreleased", "")) else ""
    if newest.partition(" ")[0] != version:
        problems.append(f"CHANGELOG.md: the newest heading is not {version}, which __version__ says.")
    elif NOT_YET in newest:
        problems.append(f"CHANGELOG.md: put the date of the release behind {version}.")
    if str(Version(version)) != version or Version(version).is_devrelease or Version(version).local:
        problems.append(f"airflow_provider_sfleads/__init__.py: {version} is no version of a release.")
    return problems


def git_problems(root: Path, version: str) -> list[str]:
    """Say what git knows against a release from this checkout."""
    problems = []
    if changed := _git(root, "status", "--porcelain"):
        problems.append(f"git: {len(changed.splitlines())} files are not as they were committed.")
    tag = f"v{version}"
    if _git(root, "tag", "--list", tag) and _git(root, "rev-list", "-n1", tag) != _git(root, "rev-parse", "HEAD"):
        problems.append(f"git: the tag {tag} is there already, on another commit. A version is released once.")
    return problems


def dist_problems(root: Path, dist: Path, version: str) -> list[str]:
    """Say what is wrong with what was built: its version, what the sdist holds, and how an index will show it."""
    names = {f"airflow_provider_sfleads-{version}.tar.gz", f"airflow_provider_sfleads-{version}-py3-none-any.whl"}
    found = {path.name for path in dist.glob("*")}
    if found != names:
        return [f"{dist.name}: there is to be {' and '.join(sorted(names))}, and nothing else. Build it."]
    problems = sdist_problems(root, dist / f"airflow_provider_sfleads-{version}.tar.gz")
    files = (dist / name for name in sorted(names))
    command: tuple[str | Path, ...] = (sys.executable, "-m", "twine", "check", "--strict", *files)
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        problems.append(f"twine: {done.stdout.strip()}")
    return problems


def sdist_problems(root: Path, sdist: Path) -> list[str]:
    """Say where the sdist differs from what git holds, or would hold with the next commit."""
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if not member.isdir()}
    held = {name for name in _git(root, *_FILES).splitlines() if not _NOT_IN_SDIST.fullmatch(name)} - {_LINK}
    packed = {name for name in names if not _ADDED.fullmatch(name)}
    return [f"sdist: {name} is missing; MANIFEST.in says what is packed." for name in sorted(held - packed)] + [
        f"sdist: {name} is packed, which git does not hold." for name in sorted(packed - held)
    ]


def _git(root: Path, *arguments: str) -> str:
    command: tuple[str | Path, ...] = ("git", "-C", root, *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
