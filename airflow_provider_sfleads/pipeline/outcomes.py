"""From what Salesforce said of a record to the line in the results."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.core.values import Refusal
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    LeaseTakenError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.pipeline.plan import Candidate, Item, Settled, refuse
from airflow_provider_sfleads.salesforce.collections import SaveResult
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.replies import ApiError


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
    """Why rows stay unsent after a run was stopped."""
    if isinstance(stop, ApiLimitError):
        return Reason.API_USAGE_LIMIT
    if isinstance(stop, ServiceUnavailableError | ConnectionFailedError):
        return Reason.TRY_AGAIN
    if isinstance(stop, LeaseTakenError):
        return Reason.NEWER_RUN_UNDER_WAY
    return Reason.STOPPED


def written(item: Item, verdict: SaveResult) -> Settled:
    """A record that was written; where the reply does not say how, what was known before decides."""
    action = item.expected
    if verdict.created is not None:
        action = Action.CREATED if verdict.created else Action.UPDATED
    return Settled(
        outcome=Outcome(
            key=item.candidate.key,
            action=action,
            salesforce_id=to_18(verdict.id or "") or item.salesforce_id,
            old_stage=item.old_stage,
            new_stage=item.new_stage,
        ),
        row=item.candidate.row,
    )


def rejected(item: Item, verdict: SaveResult) -> Settled:
    """A record that Salesforce refused."""
    error = verdict.error or ApiError("UNKNOWN_EXCEPTION", "no reason given")
    refusal = Refusal(code=error.code, message=error.message, fields=error.fields)
    return refuse(item.candidate.key, item.candidate.row, refusal, salesforce_id=item.salesforce_id)


def not_sent(item: Item, unsent: Unsent) -> Settled:
    """A record that was not written, or of which that is not known.

    What nobody knows of an earlier sending goes before anything else, lest it be forgotten.
    """
    return Settled(
        outcome=Outcome(
            key=item.candidate.key,
            action=Action.NOT_SENT,
            reason=unsent.reason if item.candidate.doubt is None else Reason.OUTCOME_UNKNOWN,
            salesforce_id=item.salesforce_id,
            error_code=unsent.code,
            error_message=unsent.message,
            old_stage=item.old_stage,
        ),
        row=item.candidate.row,
    )


def left(candidate: Candidate, reason: Reason) -> Settled:
    """A row that was not even looked up."""
    outcome = Outcome(key=candidate.key, action=Action.NOT_SENT, reason=reason, salesforce_id=candidate.lead_id)
    return Settled(outcome=outcome, row=candidate.row)


def would(item: Item) -> Settled:
    """What a record would have become without ``dry_run``."""
    action = Action.WOULD_CREATE if item.expected is Action.CREATED else Action.WOULD_UPDATE
    return Settled(
        outcome=Outcome(
            key=item.candidate.key,
            action=action,
            salesforce_id=item.salesforce_id,
            old_stage=item.old_stage,
            new_stage=item.new_stage,
        ),
        row=item.candidate.row,
    )
