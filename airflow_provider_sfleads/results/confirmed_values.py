"""What Salesforce was last known to hold of each row, so that rows that did not change cost no call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.outcome import Known, Reason
from airflow_provider_sfleads.results.columns import is_one_of
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.scratch_database import Scratch

if TYPE_CHECKING:
    import pyarrow as pa

#: In a staging folder: the fingerprints of the rows that are staged there.
SENT = "sent.parquet"
#: Before the fingerprint of a row of whose lead nothing but that it is there was confirmed.
EXISTS = "exists "
_BATCH = 20_000
# Rows to be remembered, up to which the others are told from them without a look into the file.
_FEW = 100_000
_LEFT_ALONE = frozenset({Reason.SAME_VALUES, Reason.ALREADY_EXISTS})
_LEARN = (
    "INSERT INTO known VALUES (?, ?, ?, ?) ON CONFLICT (digest) DO UPDATE SET id = COALESCE(excluded.id, id), "
    "moment = excluded.moment, print = CASE WHEN excluded.moment > moment OR excluded.print = print "
    "THEN excluded.print ELSE '' END WHERE excluded.moment >= moment OR moment IS NULL"
)
_SAME = "SELECT place, id FROM asked JOIN known USING (digest, print)"
_THERE = f"SELECT place, id FROM asked JOIN known USING (digest) WHERE known.print = '{EXISTS}' || asked.print"  # noqa: S608
_SENT = "SELECT place, sent.print FROM asked JOIN sent USING (digest)"
_NEWER = "SELECT place, id FROM asked JOIN newer USING (digest)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """What an earlier run of the operator left of one row.

    :param key: the row's key.
    :param lead_id: its lead's id, where known.
    :param values: fingerprint of the values that Salesforce was known to hold; empty where nobody remembers them.
    :param moment: when that was confirmed, as text that sorts; ``None`` where it is not known.
    :param is_newer: whether that run's interval ended after this one's does.
    """

    key: str
    lead_id: str | None
    values: str | None
    moment: str | None = None
    is_newer: bool = False


class ConfirmedValues(Scratch):
    """The fingerprints of earlier runs, and those of this run's rows, by digest of the key and in a file.

    :param directory: where the file lies.
    :param digests: digests of keys; the same for two that are the same key.
    :param is_whole: whether every row of the execution passes through :meth:`find`.
    """

    _FILE = "confirmed.sqlite"
    _TABLES = (
        "known (digest BLOB PRIMARY KEY, print TEXT, id TEXT, moment TEXT)",
        "newer (digest BLOB PRIMARY KEY, id TEXT)",
        "sent (digest BLOB PRIMARY KEY, print TEXT, key TEXT)",
        "asked (place INTEGER PRIMARY KEY, digest BLOB, print TEXT)",
    )

    def __init__(self, directory: Path, digests: Callable[[Sequence[str]], list[bytes]], *, is_whole: bool) -> None:
        super().__init__(directory)
        self._digests = digests
        self._is_whole = is_whole
        self._few: dict[str, str] | None = {}

    def load(self, confirmations: Iterable[Confirmation]) -> None:
        """Learn what earlier runs left; of two of one key the later counts, and neither where that is not known."""
        source = iter(confirmations)
        while batch := list(islice(source, _BATCH)):
            rows = list(zip(self._digests([one.key for one in batch]), batch, strict=True))
            known = [(digest, one.values, one.lead_id, one.moment) for digest, one in rows if one.values is not None]
            self._database.executemany(_LEARN, known)
            newer = [(digest, one.lead_id) for digest, one in rows if one.is_newer]
            self._database.executemany("INSERT OR REPLACE INTO newer VALUES (?, ?)", newer)

    def find(self, keys: Sequence[str], prints: Sequence[str]) -> dict[int, Known]:
        """Return what is known of rows, by their places, noting the fingerprints that have to be remembered.

        :param keys: their keys.
        :param prints: fingerprints of their values, one each.
        """
        digests = self._digests(keys)
        self._database.execute("DELETE FROM asked")
        asked = zip(range(len(keys)), digests, prints, strict=True)
        self._database.executemany("INSERT INTO asked VALUES (?, ?, ?)", asked)
        found: dict[int, Known] = {}
        # Of several reasons the last one counts.
        for reason, sql in ((Reason.SAME_VALUES, _SAME), (Reason.ALREADY_EXISTS, _THERE), (Reason.NEWER_RUN, _NEWER)):
            places = self._database.execute(sql).fetchall()
            found |= {place: Known(reason=reason, lead_id=lead_id) for place, lead_id in places}
        rows = zip(digests, prints, keys, strict=True)
        self._note([row for place, row in enumerate(rows) if place not in found or not self._is_whole])
        return found

    def _note(self, rows: Sequence[tuple[bytes, str, str]]) -> None:
        self._database.executemany("INSERT OR REPLACE INTO sent VALUES (?, ?, ?)", rows)
        if self._few is not None:
            self._few.update((key, text) for _, text, key in rows)
            if len(self._few) > _FEW:
                self._few = None

    def values_of(self, keys: pa.Array, reasons: pa.Array) -> pa.Array:
        """Return what to remember of settled rows: fingerprints, a null for what is remembered already.

        Of a row that was settled by an earlier try whose fingerprints are gone, that is nothing, as an empty text.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        names = keys.to_pylist()
        known = self._few
        if known is None:
            digests = self._digests(names)
            self._database.execute("DELETE FROM asked")
            self._database.executemany("INSERT INTO asked VALUES (?, ?, NULL)", enumerate(digests))
            known = {names[place]: text for place, text in self._database.execute(_SENT)}
        texts = pa.array(map(known.get, names), pa.string())
        is_known = is_one_of(reasons, _LEFT_ALONE) if self._is_whole else pa.scalar(value=False)
        return pc.if_else(pc.or_(texts.is_valid(), is_known), texts, "")

    def keep(self, directory: Directory) -> None:
        """Write the fingerprints of this run's rows down, for a try that goes on with these."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema([("digest", pa.binary(16)), ("print", pa.string()), ("key", pa.string())])
        with directory.complete(SENT) as draft, pq.ParquetWriter(draft, schema) as writer:
            cursor = self._database.execute("SELECT digest, print, key FROM sent")
            while rows := cursor.fetchmany(_BATCH):
                writer.write_batch(pa.record_batch([list(column) for column in zip(*rows, strict=True)], schema=schema))

    def recall(self, directory: Directory) -> None:
        """Take over what :meth:`keep` wrote, where that is there."""
        if directory.has(SENT):
            with directory.parquet(SENT) as file:
                for batch in file.iter_batches(batch_size=_BATCH):
                    self._note(list(zip(*(column.to_pylist() for column in batch.columns), strict=True)))
            self._is_whole = True


class NewerRows(Scratch):
    """The rows that newer intervals have brought up to date, by digest of the key and in a file; for any thread.

    :param directory: where the file lies.
    :param digests: digests of keys; the same for two that are the same key.
    :param count: how many rows there are; another number where a newer interval has brought one up to date meanwhile.
    :param rows: those rows.
    :param fresh: seconds for which an answer counts; default: less than a page takes.
    :param share: how many times as long as the asking took it counts at least: a warehouse that takes a second to
        answer is not asked for each page.
    """

    _FILE = "newer.sqlite"
    _TABLES = ("newer (digest BLOB PRIMARY KEY, id TEXT)",)
    _IS_SHARED = True

    def __init__(
        self,
        directory: Path,
        digests: Callable[[Sequence[str]], list[bytes]],
        *,
        count: Callable[[], int],
        rows: Callable[[], Iterable[Confirmation]],
        fresh: float = 1.0,
        share: float = 20.0,
    ) -> None:
        super().__init__(directory)
        self._digests = digests
        self._count_rows = count
        self._rows = rows
        self._fresh = fresh
        self._share = share
        self._lock = Lock()
        self._count: int | None = None
        self._stale_at = 0.0

    def among(self, keys: Sequence[str]) -> dict[int, str | None]:
        """Return the places of the rows that a newer interval has brought up to date, with their leads' ids.

        :param keys: the keys of rows that are about to be sent.
        :raises SalesforceLeadsError: where nobody can tell now.
        """
        with self._lock:
            self._refresh()
            if not self._count:
                return {}
            find = "SELECT id FROM newer WHERE digest = ?"
            found = ((n, self._database.execute(find, [one]).fetchone()) for n, one in enumerate(self._digests(keys)))
            return {place: row[0] for place, row in found if row is not None}

    def _refresh(self) -> None:
        began = time.monotonic()
        if self._count is not None and began < self._stale_at:
            return
        count = self._count_rows()
        if count != self._count:
            # What is read while others write may be more than was counted: the next count shows that.
            self._load()
            self._count = count
        took = time.monotonic() - began
        self._stale_at = began + took + max(self._fresh, took * self._share)

    def _load(self) -> None:
        rows = iter(self._rows())
        while batch := list(islice(rows, _BATCH)):
            newer = zip(self._digests([one.key for one in batch]), (one.lead_id for one in batch), strict=True)
            self._database.executemany("INSERT OR REPLACE INTO newer VALUES (?, ?)", newer)
