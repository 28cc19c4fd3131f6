"""A mount that is detached while somebody writes to it."""

from __future__ import annotations

from pathlib import Path


def detach(results: Path, to: str = "detached") -> None:
    """Have an empty folder stand in the place of the results; what they held is beside it, under a name."""
    results.rename(results.with_name(to))
    # A run that writes at this very moment makes the folder first.
    results.mkdir(exist_ok=True)
