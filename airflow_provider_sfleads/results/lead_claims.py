"""Leads that rows without an answer take for their own, told to runs beside this one before the results say it."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import files_below
from airflow_provider_sfleads.results.recorded import CLOCKS, created_ids

_FOLDER = "_claimed"
# Seconds for which a run waits for another one that is just deciding; longer than this it was killed on the way.
_PATIENCE, _PAUSE = 5.0, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What another run has written down.

    :param path: its file; of two that ask at once, the lesser comes first.
    :param is_granted: whether it has the leads; else it is just asking for them.
    """

    path: str
    ids: frozenset[str]
    is_granted: bool


class LeadClaims:
    """Files beside the results that name leads; of two rows that take one lead, one gets it.

    A claim is written down before those of others are looked for, so that of two runs at least one sees the other.
    Where both are still asking, the one that comes second withdraws, and the first waits for that: the second may have
    looked before the first had asked, and have the leads already.

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
        name, wanted = f"{uuid4().hex}.json", set(ids)
        self._write(name, wanted, is_granted=False)
        lost = self._claimed(self._directory.file(name), wanted, since)
        # In this order: a run forgets its claims when its results tell them.
        lost |= created_ids(self._root, list(wanted), since, apart_from=self._own)
        self._write(name, wanted - lost, is_granted=True)
        return lost

    def forget(self) -> None:
        """Remove them, once the results tell it."""
        self._directory.remove_all()

    def _claimed(self, own: str, wanted: set[str], since: datetime) -> set[str]:
        deadline = time.monotonic() + _PATIENCE
        while True:
            others = list(self._others(since))
            lost = {lead_id for other in others if other.is_granted or other.path < own for lead_id in other.ids}
            asking = {lead_id for other in others if not other.is_granted for lead_id in other.ids} & (wanted - lost)
            if not asking or time.monotonic() > deadline:
                return (lost | asking) & wanted
            time.sleep(_PAUSE)

    def _write(self, name: str, ids: Collection[str], *, is_granted: bool) -> None:
        with self._directory.complete(name) as draft:
            draft.write_text(json.dumps({"ids": sorted(ids), "is_granted": is_granted}), encoding="utf-8")

    def _others(self, since: datetime) -> Iterator[_Claim]:
        for name in files_below(self._root, since - CLOCKS, lambda name: f"/{_FOLDER}/" in name):
            path = self._root.file(name)
            if path.startswith(f"{self._own.path}/") or not path.endswith(".json"):
                continue
            try:
                said = json.loads(self._root.read(name))
            except FileNotFoundError:
                # Its run has ended just now.
                continue
            yield _Claim(path=path, ids=frozenset(said["ids"]), is_granted=said["is_granted"])
