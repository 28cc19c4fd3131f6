"""Nobody but the worker's user can read what a sync writes on a local disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Connect
from tests.integration.support import Rows, creating, people, run


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(root: Path) -> list[str]:
    """What other users could enter or read."""
    return [str(path) for path in root.rglob("*") if stat.S_IMODE(path.stat().st_mode) & 0o077]


@pytest.mark.parametrize("api", ["collections", "bulk"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_other_users_read_nothing(connect: Connect, tmp_path: Path, api: str, *, dry_run: bool) -> None:
    """While rows are read, and of what is there in the end; the folder that was there keeps its mode."""
    connect()
    base = tmp_path / "results"
    base.mkdir(mode=0o775)
    found: list[str] = []
    rows = Rows([*people(3), {"key": "K-3"}], before=lambda _number: found.extend(open_to_others(base)))
    ran = run(creating(rows, base, api=api, dry_run=dry_run, max_rejects=1, changed_only=not dry_run))
    assert ran.error is None
    assert found == open_to_others(base) == []
    assert stat.S_IMODE(base.stat().st_mode) == 0o775
    assert {path.name for path in ran.folder.iterdir()} >= {"rejects.csv", "report.json"}
    assert all(path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600) for path in base.rglob("*"))
