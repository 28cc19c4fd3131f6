"""That a row was sent, and nobody knows what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


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
        """A single sending."""
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
