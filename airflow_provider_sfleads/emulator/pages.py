"""Pages to look at the leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sfleads.emulator.state import Emulator

if TYPE_CHECKING:
    from starlette.routing import Route


def routes(emulator: Emulator) -> list[Route]:
    """The pages' routes."""
    del emulator
    return []
