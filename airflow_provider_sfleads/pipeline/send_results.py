"""What became of a record that was to be written."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_sfleads.core.outcome import Outcome, Reason
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    LeaseTakenError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.salesforce.collections import SaveResult


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
