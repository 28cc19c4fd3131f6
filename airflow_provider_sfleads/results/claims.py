"""Leads that rows without an answer take for their own, told to runs beside this one before the results say it."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from uuid import uuid4

from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import files_below
from airflow_provider_sfleads.results.recorded import CLOCKS, created_ids

_FOLDER = "_claimed"


class Claims:
    """Files beside the results that name leads; of two rows that take one lead, none or one gets it.

    A lead is written down first and looked for among those of others afterwards, so that of two runs at least one
    sees the other. Where both see each other neither has it: it counts as one that was there, which it is.

    :param folder: the execution's folder.
    """

    def __init__(self, folder: ResultsFolder) -> None:
        self._root, self._own = folder.of_dag, folder.directory
        self._directory = folder.directory.child(_FOLDER)

    def take(self, ids: Collection[str], since: datetime) -> set[str]:
        """Take leads for rows of this run; thread-safe.

        :param since: when the oldest of them was made.
        :return: those that are another row's already, by its results or by its claim.
        :raises ResultsError: where results cannot be read.
        """
        name = f"{uuid4().hex}.json"
        self._write(name, ids)
        others = created_ids(self._root, ids, since, apart_from=self._own) | (self._claimed(since) & set(ids))
        if others:
            self._write(name, set(ids) - others)
        return others

    def forget(self) -> None:
        """Remove them, once the results tell it."""
        self._directory.remove_all()

    def _write(self, name: str, ids: Collection[str]) -> None:
        with self._directory.complete(name) as draft:
            draft.write_text(json.dumps(sorted(ids)), encoding="utf-8")

    def _claimed(self, since: datetime) -> set[str]:
        found: set[str] = set()
        for path in files_below(self._root, since - CLOCKS, lambda path: path.split("/")[-2] == _FOLDER):
            if path.startswith(f"{self._own.path}/"):
                continue
            try:
                with self._root.fs.open(path, "rb") as stream:
                    found.update(json.load(stream))
            except FileNotFoundError:
                # Its run has ended just now.
                continue
        return found
