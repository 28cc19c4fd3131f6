"""What a task remembers between its tries, where Airflow keeps nothing for it."""

from __future__ import annotations

import json
from typing import Any, Protocol

from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.folder import ResultsFolder

#: Where a task's journal lies, and where its owner is named; apart, lest writing the one undoes the other.
JOURNAL, OWNER = "_state.json", "_owner.json"


class StateStore(Protocol):
    """Airflow's task state store, as far as it is used here."""

    def get(self, key: str) -> object:
        """Read a value."""

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Write a value."""


class StateFile:
    """A file beside a task's executions, used as Airflow's task state store is.

    :param folder: the folder of any execution of the task.
    :param name: the file's name.
    """

    def __init__(self, folder: ResultsFolder, name: str = JOURNAL) -> None:
        self._directory: Directory = folder.directory.parent
        self._name = name

    @property
    def exists(self) -> bool:
        """Whether a try of the task has been here before."""
        return self._directory.has(self._name)

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
        with self._directory.complete(self._name) as draft:
            draft.write_text(json.dumps(values), encoding="utf-8")

    def _values(self) -> dict[str, Any]:
        if not self._directory.has(self._name):
            return {}
        values: dict[str, Any] = json.loads(self._directory.read(self._name))
        return values
