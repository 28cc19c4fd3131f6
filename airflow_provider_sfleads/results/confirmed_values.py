"""What Salesforce was last known to hold of each row, so that rows that did not change cost no call."""
# ruff: noqa: TID253 - loaded by running tasks only

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.pipeline.column_text import fixed_bytes, id_bytes, mask_of, no_ids, strings
from airflow_provider_sfleads.pipeline.digest_table import DigestTable, Rows
from airflow_provider_sfleads.pipeline.digests import Digests, Positions, digests
from airflow_provider_sfleads.pipeline.staging import Prefiltered
from airflow_provider_sfleads.results.columns import is_one_of
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.lead_states import EXISTS

#: In a staging folder: the fingerprints of the rows that are staged there.
SENT = "sent.parquet"
_LEFT_ALONE = frozenset({Reason.SAME_VALUES, Reason.ALREADY_EXISTS})
# Of several reasons the last one counts.
_REASONS = (Reason.SAME_VALUES, Reason.ALREADY_EXISTS, Reason.NEWER_RUN)
# Cells of the tables on disk.
_ID, _VALUES, _MOMENT = ("id", "S18"), ("values", "<u8"), ("moment", "<i8")
_PRINT_LENGTH = 24
# Before any moment.
_EVER = -(1 << 63)

KeyDigests = Callable[[pa.Array], Digests]
"""Digests of keys; the same for two that are the same key."""


class ConfirmedValues:
    """The fingerprints of earlier runs, and those of this run's rows, by digest of the key and on disk.

    :param directory: where its files lie.
    :param key_digests: digests of keys.
    :param is_whole: whether every row of the execution passes through :meth:`find`.
    """

    def __init__(self, directory: Path, key_digests: KeyDigests, *, is_whole: bool) -> None:
        self._key_digests = key_digests
        self._is_whole = is_whole
        self._until_the_end = ExitStack()
        self._known = DigestTable(directory / "confirmed", [_VALUES, _MOMENT, _ID], _latest)
        self._newer = DigestTable(directory / "newer", [_ID])
        self._sent = DigestTable(directory / "sent", [("print", f"S{_PRINT_LENGTH}")])

    def __enter__(self) -> Self:
        for table in (self._known, self._newer, self._sent):
            self._until_the_end.enter_context(table)
        return self

    def __exit__(self, *_: object) -> None:
        self._until_the_end.close()

    def load(self, confirmations: Iterable[pa.RecordBatch]) -> None:
        """Learn what earlier runs left; of two of one key the later counts, and neither where that is not known.

        :param confirmations: in the columns of :func:`~.memory.confirmation_schema`.
        """
        for batch in confirmations:
            keys, ids = self._key_digests(batch.column("key")), id_bytes(batch.column("salesforce_id"))
            is_known, is_newer = mask_of(batch.column("values").is_valid()), mask_of(batch.column("is_newer"))
            values = digests(batch.column("values").filter(pa.array(is_known)))[:, 0]
            moments = pc.fill_null(batch.column("moment").cast(pa.int64()), _EVER).to_numpy()
            self._known.add(keys[is_known], values=values, moment=moments[is_known], id=ids[is_known])
            self._newer.add(keys[is_newer], id=ids[is_newer])

    def find(self, keys: pa.Array, prints: pa.Array) -> Prefiltered:
        """Return which rows are left alone, noting the fingerprints of those that have to be remembered.

        :param keys: their keys.
        :param prints: fingerprints of their values, one each.
        """
        halves = self._key_digests(keys)
        reason, ids = np.full(len(halves), -1, np.int8), no_ids(len(halves))
        found, rows = self._known.find(halves)
        asked = prints.take(pa.array(found))
        is_same = rows["values"] == digests(asked)[:, 0]
        others = np.flatnonzero(~is_same)
        marked = pc.binary_join_element_wise(EXISTS, asked.take(pa.array(others)), "")
        is_there = others[rows["values"][others] == digests(marked)[:, 0]]
        for number, which in enumerate((is_same, is_there)):
            reason[found[which]], ids[found[which]] = number, rows["id"][which]
        found, rows = self._newer.find(halves)
        reason[found], ids[found] = _REASONS.index(Reason.NEWER_RUN), rows["id"]
        places = np.flatnonzero(reason >= 0)
        noted = (reason < 0) | (not self._is_whole)
        self._sent.add(halves[noted], print=fixed_bytes(prints, _PRINT_LENGTH)[noted])
        reasons = pa.array(list(map(str, _REASONS)), pa.string()).take(pa.array(reason[places]))
        return Prefiltered(places=places, reasons=reasons, lead_ids=strings(ids[places]))

    def values_of(self, keys: pa.Array, reasons: pa.Array) -> pa.Array:
        """Return what to remember of settled rows: fingerprints, a null for what is remembered already.

        Of a row that was settled by an earlier try whose fingerprints are gone, that is nothing, as an empty text.
        """
        found, rows = self._sent.find(self._key_digests(keys))
        texts = _spread(strings(rows["print"]), found, len(keys))
        is_known = is_one_of(reasons, _LEFT_ALONE) if self._is_whole else pa.scalar(value=False)
        return pc.if_else(pc.or_(texts.is_valid(), is_known), texts, "")

    def keep(self, directory: Directory) -> None:
        """Write the fingerprints of this run's rows down, for a try that goes on with these."""
        schema = pa.schema([("digest", pa.binary(16)), ("print", pa.string())])
        with directory.complete(SENT) as draft, pq.ParquetWriter(draft, schema, compression="zstd") as writer:
            for rows in self._sent.batches():
                halves = np.stack((rows["high"], rows["low"]), axis=1).astype("<u8")
                keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(rows), [None, pa.py_buffer(halves)])
                writer.write_batch(pa.record_batch([keys, strings(rows["print"])], schema=schema))

    def recall(self, directory: Directory) -> None:
        """Take over what :meth:`keep` wrote, where that is there."""
        if directory.has(SENT):
            with directory.parquet(SENT) as file:
                for batch in file.iter_batches(columns=["digest", "print"]):
                    raw = b"".join(batch.column("digest").to_pylist())
                    halves = np.frombuffer(raw, "<u8").reshape(-1, 2)
                    self._sent.add(halves, print=fixed_bytes(batch.column("print"), _PRINT_LENGTH))
            self._is_whole = True


def _latest(rows: Rows, starts: Positions) -> Rows:
    """Return what was confirmed last for each digest; no values where two runs confirmed others at that time."""
    order = np.lexsort((rows["moment"], np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(rows))))))
    rows = rows[order]
    ends = np.append(starts[1:], len(rows))
    chosen: Rows = rows[ends - 1]
    group = np.repeat(np.arange(len(starts)), ends - starts)
    is_at_that_time = rows["moment"] == chosen["moment"][group]
    chosen["values"][group[is_at_that_time & (rows["values"] != chosen["values"][group])]] = _NOBODY_KNOWS
    # Who comes last may not know the lead.
    with_id = np.maximum.accumulate(np.where(rows["id"] != b"", np.arange(len(rows)), -1))[ends - 1]
    is_there = with_id >= starts
    chosen["id"][is_there] = rows["id"][with_id[is_there]]
    return chosen


_NOBODY_KNOWS = digests(pa.array([""]))[0, 0]


def _spread(texts: pa.Array, places: Positions, count: int) -> pa.Array:
    """Return an array of so many texts that has some at their places, and nulls."""
    at = np.full(count, -1, np.int64)
    at[places] = np.arange(len(places))
    return texts.take(pa.array(at, mask=at < 0))


class NewerRows:
    """The rows that newer intervals have brought up to date, by digest of the key and on disk; for any thread.

    :param directory: where its files lie.
    :param key_digests: digests of keys.
    :param count: how many rows there are; another number where a newer interval has brought one up to date meanwhile.
    :param rows: those rows, in the columns of :func:`~.memory.confirmation_schema`.
    :param fresh: seconds for which an answer counts; default: less than a page takes.
    :param share: how many times as long as the asking took it counts at least: a warehouse that takes a second to
        answer is not asked for each page.
    """

    def __init__(
        self,
        directory: Path,
        key_digests: KeyDigests,
        *,
        count: Callable[[], int],
        rows: Callable[[], Iterable[pa.RecordBatch]],
        fresh: float = 1.0,
        share: float = 20.0,
    ) -> None:
        self._key_digests = key_digests
        self._count_rows = count
        self._rows = rows
        self._fresh = fresh
        self._share = share
        self._lock = Lock()
        self._table = DigestTable(directory / "newer-when-sent", [_ID])
        self._count: int | None = None
        self._stale_at = 0.0

    def __enter__(self) -> Self:
        self._table.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._table.__exit__()

    def among(self, keys: Sequence[str]) -> Mapping[int, str | None]:
        """Return the places of the rows that a newer interval has brought up to date, with their leads' ids.

        :param keys: the keys of rows that are about to be sent.
        :raises SalesforceLeadsError: where nobody can tell now.
        """
        with self._lock:
            self._refresh()
            if not self._count:
                return {}
            found, rows = self._table.find(self._key_digests(pa.array(keys, pa.string())))
            return dict(zip(found.tolist(), strings(rows["id"]).to_pylist(), strict=True))

    def _refresh(self) -> None:
        began = time.monotonic()
        if self._count is not None and began < self._stale_at:
            return
        count = self._count_rows()
        if count != self._count:
            # What is read while others write may be more than was counted: the next count shows that.
            for batch in self._rows():
                self._table.add(self._key_digests(batch.column("key")), id=id_bytes(batch.column("salesforce_id")))
            self._count = count
        took = time.monotonic() - began
        self._stale_at = began + took + max(self._fresh, took * self._share)
