"""What a run works with, and does not care who provides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING, Protocol

from airflow_provider_sfleads.core.outcome import Outcome, UnansweredSend
from airflow_provider_sfleads.core.rows import Row

if TYPE_CHECKING:
    import pyarrow as pa


class Sink(Protocol):
    """Where outcomes go."""

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take one outcome, and the original row where it is a reject."""

    def flush(self) -> None:
        """Make what was taken durable."""


class Earlier(Protocol):
    """What the tries and executions before this one did."""

    def settled(self, key: str) -> bool:
        """Whether an earlier try settled the row that is sent for a key."""

    def unknown(self, key: str) -> UnansweredSend | None:
        """When such a row was sent before, if what became of it was never learned."""

    def created(self, key: str) -> str | None:
        """Id of the lead that an earlier execution of the task made of such a row."""


class Newer(Protocol):
    """What newer runs have done by the time that rows are sent."""

    def __call__(self, keys: Sequence[str], /) -> Mapping[int, str | None]:
        """Return the places of the rows that a newer interval has brought up to date, with their leads' ids.

        :raises SalesforceLeadsError: where nothing may be sent now.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run is carried out.

    :param batch_size: records to a request.
    :param concurrency: requests in flight.
    :param dry_run: send no change.
    :param attempt: try number of the task.
    :param now: the clock.
    :param server_now: Salesforce's clock.
    :param began: when the run began, by Salesforce's clock.
    :param user_ids: the integration user, where the token names it.
    :param lead_url: a lead's address from its id.
    :param stop: set where the run is to end early.
    """

    batch_size: int
    concurrency: int
    dry_run: bool
    attempt: int
    now: Callable[[], datetime]
    server_now: Callable[[], datetime]
    began: datetime
    user_ids: frozenset[str]
    lead_url: Callable[[str], str]
    stop: Event


class ResultsSink(Protocol):
    """Where outcomes are written down and counted."""

    def add(self, outcomes: pa.RecordBatch) -> None:
        """Take outcomes, in the columns of the results."""

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take one outcome, and the original row where it is a reject."""

    def flush(self) -> None:
        """Make what was taken durable."""

    def marked(self, mark: str) -> AbstractContextManager[None]:
        """Record what is written in the block all together, under a mark that says what it settles, or not at all."""

    def marks(self) -> Collection[str]:
        """The marks there are, of earlier tries too."""


class JobJournal(Protocol):
    """Remembers, durably, which job carries which load."""

    def jobs(self) -> Mapping[str, str]:
        """Ids of jobs by their load's label."""

    def note(self, label: str, job_id: str | None) -> None:
        """Write down which job carries a load; ``None`` where it turned out that none does."""
