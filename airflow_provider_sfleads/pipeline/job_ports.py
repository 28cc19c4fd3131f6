"""Where outcomes go, and which job carries which load, whoever keeps that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from airflow_provider_sfleads.core.outcome import Outcome
from airflow_provider_sfleads.core.rows import Row

if TYPE_CHECKING:
    import pyarrow as pa


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
