"""What a task remembers between its tries, where Airflow keeps nothing for it."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.folder import ResultsFolder

_FILE = "_state.json"


class StateFile:
    """A file beside a task's executions, used as Airflow's task state store is.

    :param folder: the folder of any execution of the task.
    """

    def __init__(self, folder: ResultsFolder) -> None:
        self._directory: Directory = folder.directory.parent

    @property
    def exists(self) -> bool:
        """Whether a try of the task has been here before."""
        return self._directory.has(_FILE)

    def begin(self) -> None:
        """Say that there was a try, though it may come to nothing."""
        if not self.exists:
            self._write({})

    def get(self, key: str) -> object:
        """Read a value; ``None`` where there is none."""
        return self._values().get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Write a value, durably."""
        self._write(self._values() | {key: value})

    def _write(self, values: dict[str, Any]) -> None:
        with self._directory.complete(_FILE) as draft:
            draft.write_text(json.dumps(values), encoding="utf-8")

    def _values(self) -> dict[str, Any]:
        if not self._directory.has(_FILE):
            return {}
        with self._directory.fs.open(self._directory.file(_FILE), "rb") as stream:
            values: dict[str, Any] = json.load(stream)
        return values
