"""That a row was sent, and nobody knows what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """When a row may have been sent without an answer, by Salesforce's clock, and as whom.

    :param since: the first time.
    :param last: the last time.
    :param user_ids: the integration users; none where the token did not name one.
    """

    since: datetime
    last: datetime
    user_ids: frozenset[str]

    @classmethod
    def at(cls, moment: datetime, user_id: str | None) -> Doubt:
        """A single sending."""
        return cls(since=moment, last=moment, user_ids=frozenset({user_id} if user_id else ()))

    def __or__(self, other: Doubt) -> Doubt:
        """Both sendings of one row."""
        return Doubt(
            since=min(self.since, other.since),
            last=max(self.last, other.last),
            user_ids=self.user_ids | other.user_ids,
        )
