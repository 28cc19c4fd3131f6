"""What a job says of the rows of a load: its result files, brought together with the rows."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.column_equality import key_form
from airflow_provider_sfleads.pipeline.column_text import Ids, id_bytes, lead_ids_only, no_ids, strings
from airflow_provider_sfleads.pipeline.digests import Digests, Places, Positions, combined, digests
from airflow_provider_sfleads.pipeline.result_file import read_page
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, FIELD
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ids import LEAD_PREFIX
from airflow_provider_sfleads.salesforce.ingest_jobs import EMPTIED
from airflow_provider_sfleads.salesforce.replies import LONGEST_MESSAGE

log = logging.getLogger(__name__)

ID, CREATED, ERROR = "sf__Id", "sf__Created", "sf__Error"
_MET = "DUPLICATE_VALUE:duplicate value found: {} duplicates value on record with id: "
_SHORT_ID, _LONG_ID = 15, 18
_NO_TEXT = -1
# Lines to look at together: so many, or so large.
_ROWS, _BYTES = 60_000, 8 << 20


class State(IntEnum):
    """What a job says of a row; where it says two things, the greater counts."""

    SILENT = 0
    UNPROCESSED = 1
    FAILED = 2
    SUCCEEDED = 3


class Created(IntEnum):
    """What ``sf__Created`` says of a row."""

    UNSAID = 0
    NO = 1
    YES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was said of some rows in a sequence, by position.

    :param states: :class:`State`.
    :param ids: of the lead that was written; of a row that failed because its key is taken, of the lead that has it.
    :param created: :class:`Created`.
    :param texts: numbers of the errors' texts.
    """

    states: npt.NDArray[np.uint8]
    ids: Ids
    created: npt.NDArray[np.uint8]
    texts: npt.NDArray[np.int32]


class JobResults:
    """Collects what a job says, from its result files on disk.

    Bulk API 2.0 Developer Guide, "Get Job Successful Record Results" and its neighbours: the lines come in no order,
    and rows beyond the daily batch allocation have none. Memory: 24 bytes a row and those of :class:`Places`; the
    texts of errors lie on disk.

    :param known: a digest of each row, in the load's order.
    :param match: how the digests were made.
    :param job_id: the job, for the log.
    :param directory: existing local folder for the errors' texts.
    :param external: external-ID field whose ``DUPLICATE_VALUE`` says that a lead exists; ``None``: there is none.
    """

    def __init__(
        self, known: Digests, match: Match, *, job_id: str, directory: Path, external: str | None = None
    ) -> None:
        self._places = Places(known)
        self._match = match
        self._job_id = job_id
        self._external = external
        self._texts = ErrorTexts(directory)
        self._states = np.zeros(len(known), dtype=np.uint8)
        self._ids: Ids = no_ids(len(known))
        self._created = np.zeros(len(known), dtype=np.uint8)
        self._numbers = np.full(len(known), _NO_TEXT, dtype=np.int32)
        self.strangers = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._texts.close()

    def add_successful(self, path: Path) -> None:
        """Take the file of rows that were written.

        :raises ServiceUnavailableError: where it lacks a column that the rows are told apart by.
        """
        for batch in _together(read_page(path, (*self._match.columns, ID, CREATED))):
            rows, lines = self._found(batch, State.SUCCEEDED)
            if not self._match.by_id:
                ids = _at(batch.column(ID), lines)
                if not lead_ids_only(ids):
                    raise ServiceUnavailableError(f"The results of job {self._job_id} name leads whose ids are none.")
                self._ids[rows] = id_bytes(ids)
            word = pc.ascii_lower(_at(batch.column(CREATED), lines))
            said = pc.if_else(pc.equal(word, "true"), int(Created.YES), int(Created.NO))
            self._created[rows] = pc.fill_null(said, int(Created.UNSAID)).to_numpy(zero_copy_only=False)

    def add_failed(self, path: Path) -> None:
        """Take the file of rows that failed.

        :raises ServiceUnavailableError: where it lacks a column that the rows are told apart by.
        """
        for batch in _together(read_page(path, (*self._match.columns, ERROR))):
            rows, lines = self._found(batch, State.FAILED)
            errors = pc.utf8_slice_codeunits(_at(batch.column(ERROR), lines), 0, LONGEST_MESSAGE)
            first = self._texts.add(errors)
            self._numbers[rows] = np.arange(first, first + len(rows), dtype=np.int32)
            if self._external is not None:
                self._ids[rows] = _met(errors, self._external)

    def add_unprocessed(self, path: Path) -> None:
        """Take the file of rows that the job did not come to.

        :raises ServiceUnavailableError: where it lacks a column that the rows are told apart by.
        """
        for batch in _together(read_page(path, self._match.columns)):
            self._found(batch, State.UNPROCESSED)

    def said(self, start: int, count: int) -> Said:
        """Return what was said of the rows ``start`` to ``start + count``."""
        rows = slice(start, start + count)
        return Said(
            states=self._states[rows],
            ids=self._ids[rows],
            created=self._created[rows],
            texts=self._numbers[rows],
        )

    def error_texts(self, numbers: npt.NDArray[np.int32]) -> list[str]:
        """Return the ``sf__Error`` of failed rows, by :attr:`Said.texts`."""
        return self._texts.read(numbers)

    def _found(self, batch: pa.RecordBatch, state: State) -> tuple[Positions, Positions]:
        """Return the rows that learn something new, and the lines of the batch that say it; no row twice."""
        wanted = self._match.of_results(batch)
        rows = self._places.find(wanted) if self._match.names_one else self._places.find_each(wanted)
        self._note_strangers(int((rows < 0).sum()))
        lines = np.flatnonzero((rows >= 0) & (self._states[rows] < state))
        rows = rows[lines]
        self._states[rows] = state
        if _has_twice(rows):
            rows, first = np.unique(rows, return_index=True)
            lines = lines[first]
        return rows, lines

    def _note_strangers(self, count: int) -> None:
        if count and not self.strangers:
            log.warning("Job %s has results of rows that were not uploaded with it; they are left out.", self._job_id)
        self.strangers += count


def _has_twice(rows: Positions) -> bool:
    ordered = np.sort(rows)
    return bool((ordered[1:] == ordered[:-1]).any())


def _together(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield some batches as one.

    Neighbours in a file are far apart among the rows, and the more are sought, the nearer.
    """
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _ROWS or size >= _BYTES:
            yield pa.concat_batches(waiting)
            waiting.clear()
            rows = size = 0
    if waiting:
        yield pa.concat_batches(waiting)


def _at(column: pa.Array, lines: Positions) -> pa.Array:
    """Lines of a column, each once: where they are all of them, they are in order."""
    return column if len(lines) == len(column) else column.take(pa.array(lines))


def _met(errors: pa.Array, external: str) -> Ids:
    """Return ids of the leads that have the key already; empty for other errors, and where it takes a closer look.

    Salesforce's own words, to the letter; whatever else it says, the row code understands.
    """
    found = no_ids(len(errors))
    start = _MET.format(external)
    lengths = pc.fill_null(pc.binary_length(errors), 0).to_numpy(zero_copy_only=False)
    is_met = pc.fill_null(pc.starts_with(errors, start), fill_value=False).to_numpy(zero_copy_only=False)
    for end, size in product((":--", f":{external} --", f":{external}--"), (_SHORT_ID, _LONG_ID)):
        rows = np.flatnonzero(is_met & (lengths == len(start) + size + len(end)))
        if len(rows):
            some = _at(errors, rows)
            leads = pc.binary_slice(some.cast(pa.binary()), len(start), len(start) + size).cast(pa.string())
            named = pc.and_(pc.ends_with(some, end), pc.starts_with(leads, LEAD_PREFIX))
            found[rows] = id_bytes(pc.if_else(named, leads, ""))
    return found


class ErrorTexts:
    """Texts in a file without a name, which nobody else can open and which is gone with this object.

    :param directory: existing local folder on whose disk they lie: they may be personal data.
    """

    def __init__(self, directory: Path) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed with this object
        self._starts: list[npt.NDArray[np.int64]] = []
        self._all: npt.NDArray[np.int64] | None = None
        self._count = self._size = 0

    def add(self, texts: pa.Array) -> int:
        """Store texts, a null as an empty one, and return the number of the first."""
        first = self._count
        values = pc.fill_null(texts, "")
        _, offsets, data = values.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
        if len(values) and data is not None:
            # A read has left the file wherever its text ends.
            self._file.seek(self._size)
            self._file.write(memoryview(data)[bounds[0] : bounds[-1]])
        self._starts.append(bounds[:-1].astype(np.int64) - int(bounds[0]) + self._size)
        self._size += int(bounds[-1] - bounds[0])
        self._count += len(values)
        self._all = None
        return first

    def read(self, numbers: npt.NDArray[np.int32]) -> list[str]:
        """Return the texts of those numbers."""
        if self._all is None:
            self._all = np.concatenate((*self._starts, np.array([self._size], dtype=np.int64)))
            self._starts = [self._all[:-1]]
        return [self._one(int(self._all[number]), int(self._all[number + 1])) for number in numbers]

    def _one(self, start: int, end: int) -> str:
        self._file.seek(start)
        return self._file.read(end - start).decode()

    def close(self) -> None:
        """Forget them."""
        self._file.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """By which of the uploaded columns results and rows are brought together.

    :param columns: the columns.
    :param external: the external-ID field, where one column holds the key: it compares as keys do.
    """

    columns: tuple[str, ...]
    external: FieldInfo | None = None

    @property
    def by_id(self) -> bool:
        """Whether the rows are told apart by their leads' ids, which they know themselves."""
        return self.columns == ("Id",)

    @property
    def names_one(self) -> bool:
        """Whether no two rows of a load are alike; where they are, either may stand for the other."""
        return self.external is not None or self.by_id

    def of_load(self, batch: pa.RecordBatch) -> Digests:
        """Return one digest for each row of a load."""
        if self.by_id:
            return digests(batch.column("salesforce_id"))
        if self.external is not None:
            return digests(batch.column("match"))
        return combined([digests(_settable(batch.column(FIELD + name), CLEAR)) for name in self.columns])

    def of_results(self, columns: pa.RecordBatch) -> Digests:
        """Return one digest for each line of results.

        :param columns: :attr:`columns`, in their order.
        """
        if self.by_id:
            return digests(strings(id_bytes(columns.column(0))))
        if self.external is not None:
            return digests(key_form(self.external, columns.column(0)))
        return combined([digests(_settable(column, EMPTIED)) for column in columns.columns[: len(self.columns)]])


def match_by(kind: PageKind, external: FieldInfo | None, fields: tuple[str, ...]) -> Match:
    """Return how to tell the rows of a load apart.

    :param kind: what they are sent as.
    :param external: external-ID field that holds the key.
    :param fields: the Lead fields that are sent.
    """
    if kind.operation == "update":
        return Match(columns=("Id",))
    if external is not None:
        return Match(columns=(external.name,), external=external)
    return Match(columns=fields)


def _settable(cells: pa.Array, emptied: str) -> pa.Array:
    """Cells as their row was meant: a field that is emptied, and one that is left alone, are blank in a new lead."""
    is_emptied = pc.fill_null(pc.equal(cells, emptied), fill_value=False)
    return pc.if_else(is_emptied, "", cells) if pc.any(is_emptied).as_py() else cells
