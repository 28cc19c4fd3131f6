"""A row as the export yields it, and what became of it: one line of the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that the export could not read; it is counted and becomes a reject.

    :param values: what could be read, by column name.
    :param code: error code for the results, in Salesforce's spelling of codes (``MALFORMED_ROW``).
    :param message: where the row stands and which rule it breaks.
    """

    values: Row
    code: str
    message: str


class Action(StrEnum):
    """The state of a row; every row read is in exactly one."""

    FILTERED = "filtered"
    DUPLICATE_KEY = "duplicate_key"
    UNCHANGED = "unchanged"
    CREATED = "created"
    UPDATED = "updated"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    WOULD_CREATE = "would_create"
    WOULD_UPDATE = "would_update"


#: What a dry run says instead.
WOULD = {Action.CREATED: Action.WOULD_CREATE, Action.UPDATED: Action.WOULD_UPDATE}


def written_as(expected: Action, created: bool | None) -> Action:  # noqa: FBT001 - as Salesforce says it
    """Return whether a record was created or updated: as Salesforce says, or else as was known before.

    :param expected: what was known.
    :param created: what Salesforce says of it; ``None`` where it does not.
    """
    if created is None:
        return expected
    return Action.CREATED if created else Action.UPDATED


class Reason(StrEnum):
    """Why a row is filtered, unchanged or not sent."""

    BELOW_THRESHOLD = "below_threshold"
    NO_SCORE = "no_score"
    STAGE_NOT_ELIGIBLE = "stage_not_eligible"
    ALREADY_AT_STAGE = "already_at_stage"
    BEYOND_STAGE = "beyond_stage"
    STAGE_NOT_ON_LADDER = "stage_not_on_ladder"
    CONVERTED = "converted"
    SAME_VALUES = "same_values"
    NEWER_RUN = "newer_run"
    ALREADY_EXISTS = "already_exists"
    OUTCOME_UNKNOWN = "outcome_unknown"
    API_USAGE_LIMIT = "api_usage_limit"
    TRY_AGAIN = "try_again"
    NEWER_RUN_UNDER_WAY = "newer_run_under_way"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One line of the results: one row read from the export.

    :param key: the row's key, trimmed; empty where the row has none.
    :param action: its state.
    :param reason: why, where the state alone does not say it.
    :param salesforce_id: 18-character Lead id, where known.
    :param error_code: Salesforce's ``statusCode``, also for rows refused before sending.
    :param error_message: what was wrong, in Salesforce's words or in ours.
    :param error_fields: Lead fields the error names.
    :param api: ``collections`` or ``bulk``, for a row that was sent.
    :param batch: number of the request (or id of the job) that carried the row.
    :param attempt: try number of the task that settled the row.
    :param finished_at: when it was settled, UTC.
    :param contact_id: contact that a converted lead became.
    :param old_stage: stage in Salesforce before.
    :param new_stage: stage after, for a row that is moved.
    :param lead_url: address of the lead in Salesforce, where its id is known.
    """

    key: str
    action: Action
    reason: str | None = None
    salesforce_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_fields: tuple[str, ...] = ()
    api: str | None = None
    batch: str | None = None
    attempt: int = 1
    finished_at: datetime | None = None
    contact_id: str | None = None
    old_stage: str | None = None
    new_stage: str | None = None
    lead_url: str | None = None

    def stamped(self, *, attempt: int, moment: datetime, lead_url: Callable[[str], str]) -> Outcome:
        """Return the line with the try and the time that settled it, and the address of its lead."""
        address = lead_url(self.salesforce_id) if self.salesforce_id else None
        return replace(self, attempt=attempt, finished_at=moment, lead_url=address)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnansweredSend:
    """When a row may have been sent without an answer, by Salesforce's clock, and as whom.

    :param since: the first time.
    :param last: the last time.
    :param user_ids: the integration users; none where that is not known.
    :param people: digests of who the row spoke of each time; none where that is not known.
    """

    since: datetime
    last: datetime
    user_ids: frozenset[str] = frozenset()
    people: frozenset[str] = frozenset()

    @classmethod
    def at(cls, moment: datetime, user_id: str | None, people: Iterable[str] = ()) -> UnansweredSend:
        """Return a single sending."""
        users = frozenset({user_id} if user_id else ())
        return cls(since=moment, last=moment, user_ids=users, people=frozenset(people))

    def __or__(self, other: UnansweredSend) -> UnansweredSend:
        """Both sendings of one row."""
        return UnansweredSend(
            since=min(self.since, other.since),
            last=max(self.last, other.last),
            # Where one of the users is not known, it may have been any.
            user_ids=self.user_ids | other.user_ids if self.user_ids and other.user_ids else frozenset(),
            people=self.people | other.people,
        )
