"""What a bulk run works with, and does not care who provides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from airflow_provider_sfleads.core.outcome import Outcome
from airflow_provider_sfleads.core.rows import Row

if TYPE_CHECKING:
    from threading import Event

    import pyarrow as pa


class Book(Protocol):
    """Where outcomes are written down and counted."""

    def add(self, outcomes: pa.RecordBatch) -> None:
        """Take outcomes, in the columns of the results."""

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take one outcome, and the original row where it is a reject."""

    def marked(self, mark: str) -> AbstractContextManager[None]:
        """Record what is written in the block all together, under a mark that says what it settles, or not at all."""

    def marks(self) -> Collection[str]:
        """The marks there are, of earlier tries too."""


class Diary(Protocol):
    """Remembers, durably, which job carries which load."""

    def jobs(self) -> Mapping[str, str]:
        """Ids of jobs by their load's label."""

    def note(self, label: str, job_id: str | None) -> None:
        """Write down which job carries a load; ``None`` where it turned out that none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a bulk run is carried out.

    :param dry_run: send no change.
    :param least: loads of so many rows or fewer go through sObject Collections (2,000 under ``api="auto"``, else 0).
    :param attempt: try number of the task.
    :param now: the clock.
    :param server_now: Salesforce's clock.
    :param lead_url: a lead's address from its id.
    :param stop: set where the run is to end early.
    """

    dry_run: bool
    least: int
    attempt: int
    now: Callable[[], datetime]
    server_now: Callable[[], datetime]
    lead_url: Callable[[str], str]
    stop: Event
