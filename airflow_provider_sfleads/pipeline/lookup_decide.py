"""Look up the leads of a part, and decide of each row whether it is sent, and as what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.stage import StageRule, why_left_alone
from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.column_equality import key_form
from airflow_provider_sfleads.pipeline.column_text import Ids, id_bytes, no_ids, strings
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.digests import Positions, digests
from airflow_provider_sfleads.pipeline.lookup import (
    STATUS_FIELDS,
    Batches,
    LeadLookup,
    Leads,
    Mask,
    Memory,
    Reading,
    side_by_side,
)
from airflow_provider_sfleads.pipeline.lookup_index import Cells, LookupQuery, RowIndexes, bools, seek
from airflow_provider_sfleads.pipeline.lookup_sources import Wanted, read_leads
from airflow_provider_sfleads.pipeline.plan import Deferred, Item, Settled
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_rows import FIELD, Sending, candidates
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.query_job import Stopped

#: Classes of rows other than the number of a way.
SETTLED, APART, REFUSED = -1, -2, -3

OUTCOME = pa.schema(
    [(name, pa.string()) for name in ("action", "reason", "salesforce_id", "contact_id", "old_stage", "new_stage")]
)

ReadLeads = Callable[[Reading, Wanted], Leads]
_Read = Callable[[Wanted], Leads]
_ACTIONS, _REASONS = tuple(Action), tuple(Reason)
_NEW, _KNOWN = 0, 1
_NONE = -1
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """One decision for each row of a part, by position.

    :param ways: the ways that rows may be sent, the same for every part of a run.
    :param classes: ``SETTLED`` (the outcome is in :meth:`columns`), ``APART`` (the row is looked at by itself),
        ``REFUSED`` (the outcome is in ``refused``), or the number of the way that the row is sent.
    :param found: what is known of each row, in the columns of :data:`OUTCOME`, dictionaries where that is smaller.
    :param refused: outcomes that take more than those columns (refusals), by position.
    """

    ways: tuple[Sending, ...]
    classes: npt.NDArray[np.int8]
    found: pa.RecordBatch
    refused: Mapping[int, Settled]

    def columns(self, start: int, count: int) -> pa.RecordBatch:
        """Return the rows ``start`` to ``start + count`` as plain strings (:data:`OUTCOME`).

        Of a settled row they are the outcome. Of a row that is sent, ``action`` and ``reason`` are null, and the rest
        is what is known of its lead: id, old and new stage. Those of other rows say nothing that counts.
        """
        part = self.found.slice(start, count)
        return pa.RecordBatch.from_arrays([column.cast(pa.string()) for column in part.columns], schema=OUTCOME)


def decide_by_row(
    plan: CreatePlan | StagePlan, batches: Batches, reading: Reading, memory: Memory, ways: tuple[Sending, ...]
) -> Decisions:
    """Decide by ``plan.look_up`` itself; what it puts off is apart, and comes after all that is sent."""
    places = {way.kind: place for place, way in enumerate(ways)}
    lead = SObjectInfo(name="Lead", fields={info.name.lower(): info for info in plan.recipe.fields})
    classes: list[int] = []
    found: list[pa.RecordBatch] = []
    refused: dict[int, Settled] = {}
    with ThreadPoolExecutor(reading.concurrency, thread_name_prefix="salesforce") as pool:
        lookup = LeadLookup(send=reading.send, conn_id=reading.conn_id, lead=plan.rules.lead, gather=side_by_side(pool))
        for group in _groups(batches, plan.group_size):
            if reading.stopped():
                raise Stopped
            apart = bools(group.column("apart"))
            asked = candidates(group.filter(pa.array(~apart)), lead)
            answers = iter(list(plan.look_up(asked, lookup, memory.add)))
            lines: list[Item | Settled | Deferred | None] = [None if left else next(answers) for left in apart]
            for line in lines:
                known = _class_of(line, places)
                if known == REFUSED and isinstance(line, Settled):
                    refused[len(classes)] = line
                classes.append(known)
            found.append(_columns(lines))
    return Decisions(ways=ways, classes=np.array(classes, dtype=np.int8), found=_joined(found), refused=refused)


def _groups(batches: Batches, size: int) -> Iterator[pa.RecordBatch]:
    for batch in batches():
        for start in range(0, batch.num_rows, size):
            yield batch.slice(start, size)


def _class_of(line: Item | Settled | Deferred | None, places: dict[Any, int]) -> int:
    if isinstance(line, Item):
        return places[line.kind]
    if isinstance(line, Settled):
        return SETTLED if line.outcome.error_code is None else REFUSED
    return APART


def _columns(lines: Sequence[Item | Settled | Deferred | None]) -> pa.RecordBatch:
    known = [line.outcome if isinstance(line, Settled) else line for line in lines]
    columns = [pa.array([_word(getattr(each, name, None)) for each in known], pa.string()) for name in OUTCOME.names]
    return pa.RecordBatch.from_arrays(columns, schema=OUTCOME)


def _word(value: object) -> str | None:
    return None if value is None else str(value)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches, OUTCOME).combine_chunks()
    return pa.RecordBatch.from_arrays(
        [
            pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
            for column in table.columns
        ],
        schema=OUTCOME,
    )


class LookupJoin:
    """What is known of each row's lead.

    :param question: what was asked.
    :param rows: how many rows there are.
    :param stage_field: Lead field of the stage, where it was read.

    ``hits`` counts the leads that were found for a row; the other fields hold where it is one: ``converted``, ``same``
    (all compared values are), ``stages`` (codes; -1 is no stage).
    """

    def __init__(self, question: LookupQuery, rows: int, *, stage_field: str | None = None) -> None:
        self._question, self._stage_field = question, stage_field
        self.hits = np.zeros(rows, dtype=np.int32)
        self.converted, self.same = (np.zeros(rows, dtype=np.bool_) for _ in range(2))
        self.stages = np.full(rows, -1, dtype=np.int32)
        self._ids = no_ids(rows)
        self._codes: dict[str, int] = {}
        self._contacts: list[tuple[Positions, pa.Array]] = []

    def read(self, leads: Leads, indexes: RowIndexes, cells: Cells | None) -> None:
        """Take in leads, whether a row wants them or not.

        :param indexes: the rows.
        :param cells: what is compared with the leads' values.
        :raises ServiceUnavailableError: for a lead whose id is none.
        """
        external = self._question.external
        for batch in leads:
            ids = id_bytes(batch.column("Id"))
            if (ids == b"").any():
                raise ServiceUnavailableError("Salesforce answered a look-up of leads with an id that is none.")
            if indexes.by_id is not None:
                self._join(batch, ids, indexes.by_id.find(digests(strings(ids))), cells)
            if indexes.by_key is not None and external is not None:
                keys = key_form(external, batch.column(external.name))
                self._join(batch, ids, indexes.by_key.find(digests(keys)), cells)

    def ids(self, rows: Positions) -> pa.Array:
        """Return the 18-character ids of rows that have a lead."""
        return strings(self._ids[rows])

    def id_column(self, shown: Mask) -> pa.Array:
        """Return the ids of all rows; null where not ``shown``."""
        return strings(np.where(shown, self._ids, b""))

    def stage_column(self, shown: Mask) -> pa.DictionaryArray:
        """Return the stages of all rows; null where not ``shown``."""
        codes = np.where(shown, self.stages, -1)
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(self.known_stages, pa.string()))

    def contact_column(self, shown: Mask) -> pa.DictionaryArray:
        """Return the contacts that the rows' leads became; null where not ``shown``."""
        places = np.full(len(self.hits), -1, dtype=np.int32)
        rows = np.concatenate([rows for rows, _ in self._contacts] or [np.zeros(0, dtype=np.int64)])
        places[rows] = np.arange(len(rows), dtype=np.int32)
        places[~shown] = -1
        values = pa.concat_arrays([values for _, values in self._contacts] or [pa.array([], pa.string())])
        return pa.DictionaryArray.from_arrays(pa.array(places, mask=places < 0), values)

    @property
    def known_stages(self) -> list[str]:
        """The stages, by code."""
        return list(self._codes)

    def _join(self, batch: pa.RecordBatch, ids: Ids, rows: Positions, cells: Cells | None) -> None:
        # A lead that was read by its id for one row may come once more by its key, which is that of another row.
        hit = (rows >= 0) & (self._ids[rows] != ids)
        if not hit.any():
            return
        if not hit.all():
            batch, ids, rows = batch.filter(pa.array(hit)), ids[hit], rows[hit]
        self.hits[rows] += 1
        self._ids[rows] = ids
        # Where several leads of the batch are one row's, they counted as one, and the last one's id is there.
        self.hits[rows[self._ids[rows] != ids]] += 1
        self.converted[rows] = _is_true(batch.column("IsConverted"))
        self._take_contacts(batch, rows)
        if self._stage_field is not None:
            self.stages[rows] = self._coded(batch.column(self._stage_field))
        if cells is not None:
            self.same[rows] = cells.same(batch, rows)

    def _take_contacts(self, batch: pa.RecordBatch, rows: Positions) -> None:
        if "ConvertedContactId" not in batch.schema.names:
            # Who may not read contacts does not see that field.
            return
        contacts = batch.column("ConvertedContactId")
        if contacts.null_count < len(contacts):
            there = contacts.is_valid()
            self._contacts.append((rows[bools(there)], contacts.filter(there)))

    def _coded(self, stages: pa.Array) -> npt.NDArray[np.int32]:
        coded = stages.dictionary_encode()
        codes = [self._codes.setdefault(stage, len(self._codes)) for stage in coded.dictionary.to_pylist()]
        # One more code for no stage, which is the index -1.
        table = np.array([*codes, -1], dtype=np.int32)
        found: npt.NDArray[np.int32] = table[pc.fill_null(coded.indices, -1).to_numpy()]
        return found


def _is_true(words: pa.Array) -> Mask:
    return bools(pc.fill_null(pc.equal(pc.ascii_lower(words), "true"), fill_value=False))


def decide(
    plan: CreatePlan | StagePlan, batches: Batches, reading: Reading, memory: Memory, *, read: ReadLeads = read_leads
) -> Decisions:
    """Decide about the rows of a part as ``plan.look_up`` does.

    Where the plan looks nothing up, nothing is read of Salesforce, and every row goes the way of new leads. Rows
    marked ``apart`` are not looked up; the row code does it. A lead id that is found for a key is remembered in
    ``memory`` (space ``id``) by a stage plan, and by a plan that goes row by row: there several keys may name one lead.

    :param batches: called several times; every time the same rows in the same order, at most some 1,000,000.
    :param read: where leads are read from.
    :raises Stopped: where the run is to end; nothing is decided.
    :raises SalesforceLeadsError: where Salesforce cannot be read.
    """
    ways = tuple(Sending(kind=kind, expected=expected) for kind, expected in plan.ways)
    if plan.recipe.by_email:
        return decide_by_row(plan, batches, reading, memory, ways)
    if isinstance(plan, StagePlan):
        return _stage(plan, batches, partial(read, reading), memory).decisions(ways)
    if plan.asks:
        return _create(plan, batches, partial(read, reading)).decisions(ways)
    return _unasked(batches, ways)


@dataclass(slots=True, kw_only=True)
class _Draft:
    """Decisions in the making: a row that nothing is said of is apart."""

    joined: LookupJoin
    classes: npt.NDArray[np.int8]
    actions: npt.NDArray[np.int8]
    reasons: npt.NDArray[np.int8]
    contacts: Mask
    new_stage: str | None = None

    @classmethod
    def of(cls, joined: LookupJoin) -> _Draft:
        """Return a draft that says nothing yet."""
        rows = len(joined.hits)
        return cls(
            joined=joined,
            classes=np.full(rows, APART, dtype=np.int8),
            actions=np.full(rows, _NONE, dtype=np.int8),
            reasons=np.full(rows, _NONE, dtype=np.int8),
            contacts=np.zeros(rows, dtype=np.bool_),
        )

    def settle(self, which: Mask, action: Action, reason: Reason | None = None, *, contact: bool = False) -> None:
        """Give rows an outcome."""
        self.classes[which] = SETTLED
        self.actions[which] = _ACTIONS.index(action)
        self.reasons[which] = _NONE if reason is None else _REASONS.index(reason)
        self.contacts[which] = contact

    def leave_alone(self, found: Mask, rule: StageRule | None = None) -> None:
        """Leave alone those leads that :func:`core.stage.why_left_alone` says, asked once for each stage there is.

        :param found: which rows have one lead.
        :param rule: what they are to be moved by.
        """
        joined = self.joined
        # The last is for leads without a stage, whose code is -1.
        stages = (*joined.known_stages, None)
        reasons = [
            [why_left_alone(is_converted=is_converted, stage=stage, rule=rule) for stage in stages]
            for is_converted in (False, True)
        ]
        codes = np.array([[_NONE if each is None else _REASONS.index(each) for each in row] for row in reasons])
        said = codes[joined.converted.astype(np.int8), joined.stages]
        for reason in {each for row in reasons for each in row if each is not None}:
            self.settle(found & (said == _REASONS.index(reason)), Action.UNCHANGED, reason, contact=True)

    def decisions(self, ways: tuple[Sending, ...]) -> Decisions:
        """Return what was decided."""
        settled, sent = self.classes == SETTLED, self.classes >= 0
        duplicate = self.actions == _ACTIONS.index(Action.DUPLICATE_KEY)
        moved = pa.array(np.where(sent, 0, _NONE), pa.int8(), mask=~sent)
        columns = [
            _coded(self.actions, _ACTIONS),
            _coded(self.reasons, _REASONS),
            self.joined.id_column((settled | sent) & (self.joined.hits > 0)),
            self.joined.contact_column(settled & self.contacts),
            self.joined.stage_column((settled | sent) & ~duplicate),
            pa.DictionaryArray.from_arrays(moved, pa.array([self.new_stage], pa.string())),
        ]
        found = pa.RecordBatch.from_arrays(columns, names=OUTCOME.names)
        return Decisions(ways=ways, classes=self.classes, found=found, refused={})


def _coded(codes: npt.NDArray[np.int8], words: tuple[Action, ...] | tuple[Reason, ...]) -> pa.DictionaryArray:
    values = pa.array([str(word) for word in words], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), values)


def _stage(plan: StagePlan, batches: Batches, read: _Read, memory: Memory) -> _Draft:
    """Leave alone whom the ladder keeps; the rest is moved, by id."""
    rule, stage_field = plan.rules.rule, plan.rules.stage_field.name
    read_fields = plan.rules.lead.visible((*STATUS_FIELDS, stage_field))
    question = LookupQuery(external=plan.rules.external, key_column="key", read=read_fields)
    indexes = seek(batches, question)
    joined = LookupJoin(question, len(indexes.apart), stage_field=stage_field)
    with closing(read(indexes.wanted)) as leads:
        joined.read(leads, indexes, None)
    draft = _Draft.of(joined)
    draft.new_stage = rule.stage
    found = joined.hits == 1
    keyed = np.flatnonzero(found & ~indexes.has_id)
    again = keyed[~_new(memory, joined, keyed)]
    draft.classes[found] = _NEW
    draft.leave_alone(found, rule)
    repeated = np.zeros(len(found), dtype=np.bool_)
    repeated[again] = True
    draft.settle(repeated, Action.DUPLICATE_KEY)
    return draft


def _new(memory: Memory, joined: LookupJoin, rows: Positions) -> Mask:
    """Return which rows' leads are met for the first time; asked some at a time, since all would take memory."""
    pieces = [rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE)]
    answers = [memory.add_many(joined.ids(piece), "id") for piece in pieces]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *answers])


def _create(plan: CreatePlan, batches: Batches, read: _Read) -> _Draft:
    """Create whom Salesforce does not have; leave alone or update whom it has."""
    rules = plan.rules
    external = rules.external
    updates = rules.existing == "update"
    question = LookupQuery(
        external=external,
        key_column=FIELD + external.name if external else "key",
        read=rules.lead.visible(STATUS_FIELDS),
        compared=plan.recipe.fields if updates else (),
        required=rules.mapping.required if updates else (),
    )
    indexes = seek(batches, question)
    joined = LookupJoin(question, len(indexes.apart))
    with closing(read(indexes.wanted)) as leads:
        joined.read(leads, indexes, Cells(batches, question.compared) if updates else None)
    draft = _Draft.of(joined)
    draft.classes[(joined.hits == 0) & ~indexes.apart & ~indexes.lacking] = _NEW
    # Rows of a part were never sent before, so that none of these leads can be theirs.
    found = joined.hits == 1
    if not updates:
        draft.settle(found, Action.UNCHANGED, Reason.ALREADY_EXISTS, contact=True)
        return draft
    draft.classes[found] = _KNOWN
    draft.settle(found & joined.same, Action.UNCHANGED, Reason.SAME_VALUES)
    draft.leave_alone(found)
    return draft


def _unasked(batches: Batches, ways: tuple[Sending, ...]) -> Decisions:
    apart = np.concatenate([np.zeros(0, dtype=np.bool_), *(bools(batch.column("apart")) for batch in batches())])
    classes = np.where(apart, APART, _NEW).astype(np.int8)
    nothing = pa.nulls(len(apart))
    found = pa.RecordBatch.from_arrays([nothing] * len(OUTCOME), names=OUTCOME.names)
    return Decisions(ways=ways, classes=classes, found=found, refused={})
