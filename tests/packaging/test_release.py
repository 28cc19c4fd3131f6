"""What `dev.py release-check` holds against a release."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import airflow_provider_sfleads
from release.checking import changelog_problems, dist_problems, git_problems, release_problems
from tests.packaging.conftest import ROOT

READY = "# Changelog\n\n## Unreleased\n\n## 1.1.0 (2026-12-01)\n\n- More.\n\n## 1.0.0 (2026-11-01)\n\n- First.\n"


def test_this_changelog_is_in_form() -> None:
    """It has a place for what comes, and the package's version is its newest."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog_problems(text) == []
    assert f"## {airflow_provider_sfleads.__version__} (" in text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("## Unreleased\n", "", "first heading"),
        ("1.1.0 (2026-12-01)", "1.1.0", "'## 1.1.0' is to be a version and its date"),
        ("1.1.0 (2026-12-01)", "soon (2026-12-01)", "'## soon (2026-12-01)'"),
        ("1.0.0 (2026-11-01)", "1.0.0 (not released)", "though a newer version follows"),
        ("1.0.0 (2026-11-01)", "1.2.0 (2026-11-01)", "newest version is to come first"),
    ],
)
def test_a_changelog_out_of_form(old: str, new: str, says: str) -> None:
    """One heading for what is to come, and one with a date for each version, the newest first."""
    (problem,) = changelog_problems(READY.replace(old, new))
    assert says in problem


@pytest.mark.parametrize(
    ("version", "old", "new", "says"),
    [
        ("1.1.0", "## Unreleased\n", "## Unreleased\n\n- Not told.\n", "move what is below '## Unreleased'"),
        ("1.1.0", "2026-12-01", "not released", "put the date of the release behind 1.1.0"),
        ("1.2.0", "", "", "newest heading is not 1.2.0"),
        ("1.1.0.dev1", "1.1.0", "1.1.0.dev1", "no version of a release"),
    ],
)
def test_a_version_that_is_not_ready(version: str, old: str, new: str, says: str) -> None:
    """Version and changelog say the same, and nothing is left over."""
    assert release_problems(READY, "1.1.0") == []
    (problem,) = release_problems(READY.replace(old, new), version)
    assert says in problem


def test_a_checkout_that_is_not_as_committed(tmp_path: Path) -> None:
    """Nor a version that has its tag elsewhere."""

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
        command: tuple[str | Path, ...] = ("git", "-C", tmp_path, *who, *arguments)
        subprocess.run(command, check=True, capture_output=True)

    git("init")
    git("commit", "--allow-empty", "-m", "First.")
    git("tag", "v1.0.0")
    assert git_problems(tmp_path, "1.0.0") == []
    git("commit", "--allow-empty", "-m", "Second.")
    (tmp_path / "left.txt").touch()
    left, tagged = git_problems(tmp_path, "1.0.0")
    assert "1 files" in left
    assert "v1.0.0 is there already" in tagged


def test_what_was_built_is_looked_at(dists: tuple[Path, Path], tmp_path: Path) -> None:
    """Both files of this version, and nothing older beside them."""
    if not (ROOT / ".git").exists():
        pytest.skip("This is no checkout: only git knows what belongs to the project.")
    version = airflow_provider_sfleads.__version__
    assert dist_problems(ROOT, dists[0].parent, version) == []
    assert "nothing else" in dist_problems(ROOT, dists[0].parent, "9.9")[0]
    assert "nothing else" in dist_problems(ROOT, tmp_path, version)[0]
