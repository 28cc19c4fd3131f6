"""Which rows are about to be sent, where sending one twice would create its lead twice."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import uuid4

from airflow_provider_sfleads.core.doubt import Doubt
from airflow_provider_sfleads.core.keys import Compare
from airflow_provider_sfleads.results.digests import digest_of
from airflow_provider_sfleads.results.folder import ResultsFolder

_FOLDER = "_sent"


class Announcements:
    """Files beside the results that name, by digest, the rows of requests under way, with time and user.

    A worker that is killed between sending a request and recording what came of it leaves the request's file behind:
    the next try knows then that these rows may exist already, and since when. A try that comes to its end replaces
    the files by some with the rows of which it could not learn what became of them.

    :param folder: the execution's folder.
    :param compare: brings a key into the form in which keys are compared.
    """

    def __init__(self, folder: ResultsFolder, compare: Compare) -> None:
        self._directory = folder.directory.child(_FOLDER)
        self._compare = compare

    def announce(self, keys: Iterable[str], doubt: Doubt) -> None:
        """Write down that these rows are about to be sent, or may have been; thread-safe."""
        self._write((digest_of(self._compare(key)) for key in keys), doubt)

    def _write(self, digests: Iterable[bytes], doubt: Doubt) -> None:
        rows = [digest.hex() for digest in digests]
        since, last = doubt.since.isoformat(), doubt.last.isoformat()
        said = {"since": since, "last": last, "user_ids": sorted(doubt.user_ids), "rows": rows}
        with self._directory.complete(f"{uuid4().hex}.json") as draft:
            draft.write_text(json.dumps(said), encoding="utf-8")

    def rows(self) -> Iterator[tuple[bytes, Doubt]]:
        """Every row that is written down; one that was sent repeatedly comes repeatedly."""
        for name in self._directory.names():
            with self._directory.fs.open(self._directory.file(name), "rb") as stream:
                said = json.load(stream)
            since, last = (datetime.fromisoformat(said[name]) for name in ("since", "last"))
            doubt = Doubt(since=since, last=last, user_ids=frozenset(said["user_ids"]))
            for row in said["rows"]:
                yield bytes.fromhex(row), doubt

    def conclude(self, unknown: Iterable[tuple[bytes, Doubt]]) -> None:
        """Keep only the rows that are still unknown."""
        names = self._directory.names()
        kept: defaultdict[Doubt, list[bytes]] = defaultdict(list)
        for digest, doubt in unknown:
            kept[doubt].append(digest)
        for doubt, digests in kept.items():
            self._write(digests, doubt)
        for name in names:
            self._directory.remove(name)
        if not kept:
            self._directory.remove_all()
