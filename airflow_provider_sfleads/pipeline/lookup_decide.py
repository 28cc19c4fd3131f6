"""Which rows of a part are sent, and as what: the look-up of a plan, by the column."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.digests import Positions
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS
from airflow_provider_sfleads.pipeline.lookup_by_row import decide_by_row
from airflow_provider_sfleads.pipeline.lookup_decisions import OUTCOME, SETTLED, TAIL, Decisions
from airflow_provider_sfleads.pipeline.lookup_index import Cells, LookupQuery, bools, seek
from airflow_provider_sfleads.pipeline.lookup_join import LookupJoin
from airflow_provider_sfleads.pipeline.lookup_reading import Batches, Leads, Mask, Memory, Reading
from airflow_provider_sfleads.pipeline.lookup_sources import Wanted, read_leads
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_items import Sending
from airflow_provider_sfleads.pipeline.staged_rows import FIELD

ReadLeads = Callable[[Reading, Wanted], Leads]
_Read = Callable[[Wanted], Leads]

_ACTIONS, _REASONS = tuple(Action), tuple(Reason)
_NEW, _KNOWN = 0, 1
_NONE = -1
_PIECE = 1 << 16


def decide(
    plan: CreatePlan | StagePlan, batches: Batches, reading: Reading, memory: Memory, *, read: ReadLeads = read_leads
) -> Decisions:
    """Decide about the rows of a part as ``plan.look_up`` does.

    Where the plan looks nothing up, nothing is read of Salesforce, and every row goes the way of new leads. Rows
    marked ``tail`` are not looked up; the row code does it. A lead id that is found for a key is remembered in
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
    """Decisions in the making: a row that nothing is said of belongs to the tail."""

    standing: LookupJoin
    classes: npt.NDArray[np.int8]
    actions: npt.NDArray[np.int8]
    reasons: npt.NDArray[np.int8]
    contacts: Mask
    new_stage: str | None = None

    @classmethod
    def of(cls, standing: LookupJoin) -> _Draft:
        """A draft that says nothing yet."""
        rows = len(standing.hits)
        return cls(
            standing=standing,
            classes=np.full(rows, TAIL, dtype=np.int8),
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

    def decisions(self, ways: tuple[Sending, ...]) -> Decisions:
        """What was decided."""
        settled, sent = self.classes == SETTLED, self.classes >= 0
        duplicate = self.actions == _ACTIONS.index(Action.DUPLICATE_KEY)
        moved = pa.array(np.where(sent, 0, _NONE), pa.int8(), mask=~sent)
        columns = [
            _coded(self.actions, _ACTIONS),
            _coded(self.reasons, _REASONS),
            self.standing.id_column((settled | sent) & (self.standing.hits > 0)),
            self.standing.contact_column(settled & self.contacts),
            self.standing.stage_column((settled | sent) & ~duplicate),
            pa.DictionaryArray.from_arrays(moved, pa.array([self.new_stage], pa.string())),
        ]
        found = pa.RecordBatch.from_arrays(columns, names=OUTCOME.names)
        return Decisions(ways=ways, classes=self.classes, found=found, apart={})


def _coded(codes: npt.NDArray[np.int8], words: tuple[Action, ...] | tuple[Reason, ...]) -> pa.DictionaryArray:
    values = pa.array([str(word) for word in words], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), values)


def _stage(plan: StagePlan, batches: Batches, read: _Read, memory: Memory) -> _Draft:
    """Leave alone whom the ladder keeps; the rest is moved, by id."""
    rule, stage_field = plan.rules.rule, plan.rules.stage_field.name
    read_fields = plan.rules.lead.visible((*STATUS_FIELDS, stage_field))
    question = LookupQuery(external=plan.rules.external, key_column="key", read=read_fields)
    sought = seek(batches, question)
    standing = LookupJoin(question, len(sought.tail), stage_field=stage_field)
    with closing(read(sought.wanted)) as leads:
        standing.read(leads, sought, None)
    draft = _Draft.of(standing)
    draft.new_stage = rule.stage
    found = standing.hits == 1
    keyed = np.flatnonzero(found & ~sought.has_id)
    again = keyed[~_new(memory, standing, keyed)]
    draft.classes[found] = _NEW
    # The last is for leads without a stage, whose code is -1.
    verdicts = [rule.standing(stage) for stage in (*standing.known_stages, None)]
    codes = np.array([_NONE if reason is None else _REASONS.index(reason) for reason in verdicts], dtype=np.int8)
    reasons = codes[standing.stages]
    for reason in dict.fromkeys(reason for reason in verdicts if reason is not None):
        left = found & ~standing.converted & (reasons == _REASONS.index(reason))
        draft.settle(left, Action.UNCHANGED, reason, contact=True)
    draft.settle(found & standing.converted, Action.UNCHANGED, Reason.CONVERTED, contact=True)
    repeated = np.zeros(len(found), dtype=np.bool_)
    repeated[again] = True
    draft.settle(repeated, Action.DUPLICATE_KEY)
    return draft


def _new(memory: Memory, standing: LookupJoin, rows: Positions) -> Mask:
    """Which rows' leads are met for the first time; asked some at a time, since all would take memory."""
    pieces = [rows[start : start + _PIECE] for start in range(0, len(rows), _PIECE)]
    answers = [memory.add_many(standing.ids(piece), "id") for piece in pieces]
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
    sought = seek(batches, question)
    standing = LookupJoin(question, len(sought.tail))
    with closing(read(sought.wanted)) as leads:
        standing.read(leads, sought, Cells(batches, question.compared) if updates else None)
    draft = _Draft.of(standing)
    draft.classes[(standing.hits == 0) & ~sought.tail & ~sought.lacking] = _NEW
    # Rows of a part were never sent before, so that none of these leads can be theirs.
    found = standing.hits == 1
    if not updates:
        draft.settle(found, Action.UNCHANGED, Reason.ALREADY_EXISTS, contact=True)
        return draft
    draft.classes[found] = _KNOWN
    draft.settle(found & standing.same, Action.UNCHANGED, Reason.SAME_VALUES)
    draft.settle(found & standing.converted, Action.UNCHANGED, Reason.CONVERTED, contact=True)
    return draft


def _unasked(batches: Batches, ways: tuple[Sending, ...]) -> Decisions:
    tail = np.concatenate([np.zeros(0, dtype=np.bool_), *(bools(batch.column("tail")) for batch in batches())])
    classes = np.where(tail, TAIL, _NEW).astype(np.int8)
    nothing = pa.nulls(len(tail))
    found = pa.RecordBatch.from_arrays([nothing] * len(OUTCOME), names=OUTCOME.names)
    return Decisions(ways=ways, classes=classes, found=found, apart={})
