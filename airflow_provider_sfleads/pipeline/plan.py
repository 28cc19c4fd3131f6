"""What the two syncs have in common: rows are taken in, looked up, sent, settled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from airflow_provider_sfleads.core.keys import Compare, key_text, valid_key
from airflow_provider_sfleads.core.mapping import BoundMapping
from airflow_provider_sfleads.core.outcome import (
    WOULD,
    Action,
    BadRow,
    Outcome,
    Reason,
    Row,
    UnansweredSend,
    written_as,
)
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.core.values import Refusal
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    LeaseTakenError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.salesforce.collections import PageKind, SaveResult
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.replies import ApiError
from airflow_provider_sfleads.salesforce.wire import Record

Seen = Callable[[str, str], bool]
"""Remembers a value in a space (``key``, ``id``, ``email``); answers whether it is new there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row that passed everything the export alone can tell.

    :param key: its key, trimmed.
    :param row: the original row, kept for the rejects.
    :param record: its Lead fields.
    :param lead_id: its 18-character Lead id, where the export has one.
    :param external_id: the key in the form it is compared in, where the external ID finds the lead.
    :param doubt: when, and as whom, it was sent before, where nobody has learned what became of it.
    """

    key: str
    row: Row
    record: Record
    lead_id: str | None = None
    external_id: str | None = None
    doubt: UnansweredSend | None = None

    def doubted(self, doubt: UnansweredSend | None) -> Candidate:
        """Return the row, sent once more without an answer."""
        if doubt is None:
            return self
        return replace(self, doubt=doubt if self.doubt is None else self.doubt | doubt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A candidate that is to be sent.

    :param candidate: the row.
    :param kind: what its page is sent as.
    :param record: what is sent of it.
    :param expected: ``created`` or ``updated``.
    :param salesforce_id: the lead's id, where known before.
    :param old_stage: its stage in Salesforce, where known before.
    :param new_stage: the stage it moves to.
    """

    candidate: Candidate
    kind: PageKind
    record: Record
    expected: Action
    salesforce_id: str | None = None
    old_stage: str | None = None
    new_stage: str | None = None

    def doubted(self, doubt: UnansweredSend | None) -> Item:
        """Return the item, sent once more without an answer."""
        return self if doubt is None else replace(self, candidate=self.candidate.doubted(doubt))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A row whose outcome is known, with the original row."""

    outcome: Outcome
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """A candidate of which nothing can be said before what was sent ahead of it is settled."""

    candidate: Candidate


class Plan(Protocol):
    """How one operator's rows are looked up, sent and settled.

    ``group_size`` rows are looked up together. ``repeatable`` says whether sending a row again is harmless when its
    outcome is unknown, ``may_undo`` whether a run of an older interval could undo what a newer one wrote, ``fresh``
    whether a row must go out right after its look-up, ``mode`` how leads that exist are treated, ``recipe`` what the
    intake goes by.
    """

    recipe: Recipe
    operation: str
    mode: str
    group_size: int
    repeatable: bool
    may_undo: bool
    fresh: bool
    compare: Compare

    def key_of(self, row: Row | BadRow) -> str:
        """Return a row's key, trimmed."""

    def take(self, row: Row | BadRow) -> Candidate | Settled:
        """Decide what the export alone can decide."""

    def look_up(
        self, candidates: Sequence[Candidate], lookup: LeadLookup, seen: Seen
    ) -> Iterable[Item | Settled | Deferred]:
        """Ask Salesforce what is there, and decide who is sent."""

    def next_pass(self) -> None:
        """Begin another pass over what was put off: all that was sent is settled."""

    def recheck(self, items: Sequence[Item], lookup: LeadLookup) -> Mapping[int, Overtaken | Unsent]:
        """Look again before items are sent again: the positions of those that must not be, and what is known of them.

        Of an item that was sent without an answer the candidate's ``doubt`` tells.
        """

    def settle(
        self, items: Sequence[Item], results: Sequence[Result], lookup: LeadLookup | None
    ) -> Sequence[Settled | Item]:
        """Turn a page's results into outcomes, or into an item that is to be sent instead.

        :param lookup: asks Salesforce what stands in a record's way; ``None`` where it cannot be asked now.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an intake goes by, as values: rows that lie in columns are taken in by the column, with the same result.

    :param key_column: export column of the key.
    :param mapping: the bound mapping.
    :param fields: Lead fields of a candidate's record: the key's or the stage's own, mapped columns, constants.
    :param external: external-ID field that holds the key.
    :param writes_key: whether the key is written to that field.
    :param need_required: whether a row without the required fields is refused.
    :param rule: the stage, and who is moved to it; ``None`` where leads are created.
    :param stage_field: Lead field that holds the stage.
    :param lead_id: export column with the Lead id.
    :param by_email: whether leads are found by e-mail, too.
    """

    key_column: str
    mapping: BoundMapping
    fields: tuple[FieldInfo, ...]
    external: FieldInfo | None
    writes_key: bool = False
    need_required: bool = True
    rule: StageRule | None = None
    stage_field: FieldInfo | None = None
    lead_id: str | None = None
    by_email: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The decisions that need the export only, in their order.

    Unreadable row, empty key, filter, mapping. That a key was there before is noticed ahead of it, by the column.

    :param recipe: what it goes by, as values.
    :param compare: brings a key into the form in which keys are compared.
    :param rule: why a row is filtered out.
    :param build: the candidate, or why the row cannot be sent.
    """

    recipe: Recipe
    compare: Compare
    rule: Callable[[Row], Reason | Refusal | None]
    build: Callable[[str, Row], Candidate | Refusal]

    def key_of(self, row: Row | BadRow) -> str:
        """Return a row's key, trimmed; empty where it has none."""
        return key_text((row.values if isinstance(row, BadRow) else row).get(self.recipe.key_column))

    def take(self, row: Row | BadRow) -> Candidate | Settled:
        """Decide about one row."""
        key = self.key_of(row)
        if isinstance(row, BadRow):
            return refuse(key, row.values, Refusal(code=row.code, message=row.message))
        problem = self._key_problem(key, row)
        if problem is not None:
            return refuse("", row, problem)
        result = self.rule(row)
        if isinstance(result, Refusal):
            return refuse(key, row, result)
        if result is not None:
            return Settled(outcome=Outcome(key=key, action=Action.FILTERED, reason=result), row=row)
        built = self.build(key, row)
        return refuse(key, row, built) if isinstance(built, Refusal) else built

    def _key_problem(self, key: str, row: Row) -> Refusal | None:
        if not key:
            return Refusal(code="MISSING_ARGUMENT", message=f"column {self.recipe.key_column!r}: the key is empty")
        if valid_key(row[self.recipe.key_column]) is None:
            message = f"column {self.recipe.key_column!r}: the key is no text and no number"
            return Refusal(code="INVALID_TYPE_ON_FIELD_IN_RECORD", message=message)
        return None


def refuse(key: str, row: Row, refusal: Refusal, *, salesforce_id: str | None = None) -> Settled:
    """Return a reject that cost no write."""
    return Settled(
        outcome=Outcome(
            key=key,
            action=Action.REJECTED,
            salesforce_id=salesforce_id,
            error_code=refusal.code,
            error_message=refusal.message,
            error_fields=refusal.fields,
        ),
        row=row,
    )


def unchanged(
    candidate: Candidate,
    reason: Reason,
    *,
    salesforce_id: str | None = None,
    contact_id: str | None = None,
    old_stage: str | None = None,
) -> Settled:
    """Settle a row whose lead is left as it is."""
    return Settled(
        outcome=Outcome(
            key=candidate.key,
            action=Action.UNCHANGED,
            reason=reason,
            salesforce_id=salesforce_id,
            contact_id=contact_id,
            old_stage=old_stage,
        ),
        row=candidate.row,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A record that was not written, or of which that is not known, through no fault of its own."""

    reason: Reason
    code: str | None = None
    message: str | None = None


UNKNOWN = Unsent(reason=Reason.OUTCOME_UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtaken:
    """A record that is not sent again, since its lead has changed meanwhile."""

    outcome: Outcome


Result = SaveResult | Unsent | Overtaken
"""What is known of one record."""


def reason_for(stop: SalesforceLeadsError) -> Reason:
    """Return why rows stay unsent after a run was stopped."""
    if isinstance(stop, ApiLimitError):
        return Reason.API_USAGE_LIMIT
    if isinstance(stop, ServiceUnavailableError | ConnectionFailedError):
        return Reason.TRY_AGAIN
    if isinstance(stop, LeaseTakenError):
        return Reason.NEWER_RUN_UNDER_WAY
    return Reason.STOPPED


def written(item: Item, result: SaveResult) -> Settled:
    """Settle a record that was written."""
    return Settled(
        outcome=Outcome(
            key=item.candidate.key,
            action=written_as(item.expected, result.created),
            salesforce_id=to_18(result.id or "") or item.salesforce_id,
            old_stage=item.old_stage,
            new_stage=item.new_stage,
        ),
        row=item.candidate.row,
    )


def rejected(item: Item, result: SaveResult) -> Settled:
    """Settle a record that Salesforce refused."""
    error = result.error or ApiError("UNKNOWN_EXCEPTION", "no reason given")
    refusal = Refusal(code=error.code, message=error.message, fields=error.fields)
    return refuse(item.candidate.key, item.candidate.row, refusal, salesforce_id=item.salesforce_id)


def not_sent(item: Item, unsent: Unsent) -> Settled:
    """Settle a record that was not written, or of which that is not known."""
    return Settled(
        outcome=Outcome(
            key=item.candidate.key,
            action=Action.NOT_SENT,
            reason=_unless_doubtful(item.candidate, unsent.reason),
            salesforce_id=item.salesforce_id,
            error_code=unsent.code,
            error_message=unsent.message,
            old_stage=item.old_stage,
        ),
        row=item.candidate.row,
    )


def left(candidate: Candidate, reason: Reason) -> Settled:
    """Settle a row that was not even looked up."""
    outcome = Outcome(
        key=candidate.key,
        action=Action.NOT_SENT,
        reason=_unless_doubtful(candidate, reason),
        salesforce_id=candidate.lead_id,
    )
    return Settled(outcome=outcome, row=candidate.row)


def _unless_doubtful(candidate: Candidate, reason: Reason | None) -> Reason | None:
    """Return why a row is not sent.

    That nobody knows of an earlier sending goes before all else, lest it be forgotten.
    """
    return reason if candidate.doubt is None else Reason.OUTCOME_UNKNOWN


def would(item: Item) -> Settled:
    """Return what a record would have become without ``dry_run``."""
    return Settled(
        outcome=Outcome(
            key=item.candidate.key,
            action=WOULD[item.expected],
            salesforce_id=item.salesforce_id,
            old_stage=item.old_stage,
            new_stage=item.new_stage,
        ),
        row=item.candidate.row,
    )
