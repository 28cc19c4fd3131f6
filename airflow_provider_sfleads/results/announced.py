"""Which rows are about to be sent to become new leads."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from airflow_provider_sfleads.core.keys import Compare
from airflow_provider_sfleads.core.outcome import UnansweredSend
from airflow_provider_sfleads.results.folder import ResultsFolder

_FOLDER = "_sent"


def any_announced(folder: ResultsFolder) -> bool:
    """Return whether rows of an execution may have been sent without a record of it."""
    return bool(folder.directory.child(_FOLDER).names())


class Announcements:
    """Files beside the results that name, by digest, the rows of requests under way, with time and user.

    A worker that is killed between sending a request and recording what came of it leaves the request's file behind:
    the next try knows then that these rows may exist already, and since when. A try that comes to its end replaces
    the files by some with the rows of which it could not learn what became of them.

    Where Salesforce refuses no lead twice, such rows may not simply be sent again. Where it does, they may meet a
    lead that they themselves have made.

    :param folder: the execution's folder.
    :param compare: brings a key into the form in which keys are compared.
    """

    def __init__(self, folder: ResultsFolder, compare: Compare) -> None:
        self._directory = folder.directory.child(_FOLDER)
        self._compare = compare

    def announce(self, rows: Iterable[tuple[str, str]], doubt: UnansweredSend) -> None:
        """Write down that these rows are about to be sent, or may have been; thread-safe.

        :param rows: the key of each, and a digest of who it speaks of, empty where that is not known.
        """
        self._write(((digest_of(self._compare(key)), filter(None, (person,))) for key, person in rows), doubt)

    def _write(self, rows: Iterable[tuple[bytes, Iterable[str]]], doubt: UnansweredSend) -> None:
        since, last = doubt.since.isoformat(), doubt.last.isoformat()
        lines = [[digest.hex(), *sorted(people)] for digest, people in rows]
        said = {"since": since, "last": last, "user_ids": sorted(doubt.user_ids), "rows": lines}
        self._directory.write(f"{uuid4().hex}.json", json.dumps(said))

    def rows(self) -> Iterator[tuple[bytes, UnansweredSend]]:
        """Yield every row that is written down; one that was sent repeatedly comes repeatedly."""
        for name in self._directory.names():
            said = json.loads(self._directory.read(name))
            since, last = (datetime.fromisoformat(said[name]) for name in ("since", "last"))
            doubt = UnansweredSend(since=since, last=last, user_ids=frozenset(said["user_ids"]))
            for digest, *people in said["rows"]:
                yield bytes.fromhex(digest), replace(doubt, people=frozenset(people))

    def forget(self) -> None:
        """Keep none: what became of every row is recorded."""
        self._directory.remove_all()

    def conclude(self, unknown: Iterable[tuple[bytes, UnansweredSend]]) -> None:
        """Keep only the rows that are still unknown."""
        names = self._directory.names()
        kept: defaultdict[UnansweredSend, list[tuple[bytes, frozenset[str]]]] = defaultdict(list)
        for digest, doubt in unknown:
            kept[replace(doubt, people=frozenset())].append((digest, doubt.people))
        for doubt, rows in kept.items():
            self._write(rows, doubt)
        for name in names:
            self._directory.remove(name)
        if not kept:
            self._directory.remove_all()


def digest_of(key: str, space: str = "key") -> bytes:
    """Return 16 bytes of BLAKE2b; keys of different spaces are different keys."""
    return hashlib.blake2b(f"{space}\0{key}".encode(errors="surrogatepass"), digest_size=16).digest()
