"""Runs the demo as people do: as a program."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def demo_command(tmp_path: Path) -> list[str]:
    """The demo, small, in a folder of its own."""
    return [sys.executable, "-m", "demo", "--leads", "600", "--days", "3", "--work", str(tmp_path / "demo")]


@pytest.fixture
def demo_environment() -> dict[str, str]:
    """The environment of a terminal in the project's folder."""
    return os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
