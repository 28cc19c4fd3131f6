"""Exports of small files, and storage that is not this machine's disk."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exports import FileExport

Read = Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]


@pytest.fixture(scope="session", autouse=True)
def _logging_of_airflow() -> None:
    """Let Airflow set up its logging now: it does with its first path, and would take away what a test listens with."""
    from airflow.sdk import ObjectStoragePath

    assert ObjectStoragePath("/").fs


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write bytes into a file of the given name, and return the columns and rows that an export makes of it."""

    def read(content: bytes, name: str = "leads.csv", **kwargs: str) -> tuple[tuple[str, ...], list[Row | BadRow]]:
        path = tmp_path / name
        path.write_bytes(content)
        with FileExport(path, **kwargs).open() as stream:
            return stream.columns, list(stream.rows)

    return read


@pytest.fixture(scope="session")
def remote_storage() -> str:
    """URL of an empty storage that is reached only through Airflow connection ``store``."""
    import fsspec  # type: ignore[import-untyped]
    from airflow.sdk.io.store import attach

    attach("memory", conn_id="store", fs=fsspec.filesystem("memory"))
    return "memory://bucket"


class Endless(io.RawIOBase):
    """A file that repeats itself forever and counts what it gave."""

    def __init__(self, head: bytes, repeated: bytes) -> None:
        self._waiting = head
        self._repeated = repeated
        self.given = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: object) -> int:
        """Give the next bytes."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        while len(self._waiting) < len(view):
            self._waiting += self._repeated
        view[:] = self._waiting[: len(view)]
        self._waiting = self._waiting[len(view) :]
        self.given += len(view)
        return len(view)
