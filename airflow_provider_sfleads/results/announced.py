"""Which rows are about to be sent, where sending one twice would create its lead twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from uuid import uuid4

from airflow_provider_sfleads.core.keys import Compare
from airflow_provider_sfleads.results.digests import digest_of
from airflow_provider_sfleads.results.folder import ResultsFolder

_FOLDER = "_sent"


class Announcements:
    """Files beside the results that name, by digest, the rows of pages under way.

    A worker that is killed between sending a page and recording it leaves the page's file behind: the next try
    knows then that these rows may exist already. A try that comes to its end replaces the files by one with the rows
    of which it could not learn what became of them.

    :param folder: the execution's folder.
    :param compare: brings a key into the form in which keys are compared.
    """

    def __init__(self, folder: ResultsFolder, compare: Compare) -> None:
        self._directory = folder.directory.child(_FOLDER)
        self._compare = compare

    def __call__(self, keys: Sequence[str]) -> None:
        """Write down that these rows are about to be sent; thread-safe."""
        self._write(digest_of(self._compare(key)) for key in keys)

    def digests(self) -> Iterator[bytes]:
        """Every row that is written down."""
        for name in self._directory.names():
            with self._directory.fs.open(self._directory.file(name), "rb") as stream:
                yield from map(bytes.fromhex, json.load(stream))

    def conclude(self, unknown: Iterable[bytes]) -> None:
        """Keep only the rows that are still unknown."""
        names = self._directory.names()
        kept = list(unknown)
        if kept:
            self._write(kept)
        for name in names:
            self._directory.remove(name)
        if not kept:
            self._directory.remove_all()

    def _write(self, digests: Iterable[bytes]) -> None:
        with self._directory.complete(f"{uuid4().hex}.json") as draft:
            draft.write_text(json.dumps([digest.hex() for digest in digests]), encoding="utf-8")
