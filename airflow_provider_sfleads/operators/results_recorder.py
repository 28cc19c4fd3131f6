"""Takes outcomes as they come."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.message import error_words, is_named, log_name
from airflow_provider_sfleads.core.outcome import Action, Outcome, Row
from airflow_provider_sfleads.results import ResultsWriter
from airflow_provider_sfleads.results.parts import marks

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

_REJECTS_LOGGED = 5


@dataclass(slots=True)
class Recorder:
    """Writes outcomes, and logs the first rejects of each kind by key, so that the log alone says what is wrong.

    :param noted: told how far the results have come, each time something was made durable.
    """

    writer: ResultsWriter
    salt: str
    noted: Callable[[int], None] = lambda _next_part: None
    logged: Counter[str] = field(default_factory=Counter)

    def add(self, outcomes: pa.RecordBatch) -> None:
        """Take outcomes by the column; none of them is a reject."""
        self.writer.write_batch(outcomes)

    @contextmanager
    def marked(self, mark: str) -> Iterator[None]:
        """Record what is written in the block all together, under a mark, or not at all."""
        with self.writer.marked(mark):
            yield
        self.noted(self.writer.next_part)

    def marks(self) -> Collection[str]:
        """The marks there are."""
        return marks(self.writer.directory)

    def flush(self) -> None:
        """Make what was taken durable."""
        self.writer.flush()
        self.noted(self.writer.next_part)

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take one outcome."""
        self.writer.write(outcome, values)
        if outcome.action is not Action.REJECTED:
            return
        code = outcome.error_code or ""
        self.logged[code] += 1
        if self.logged[code] == _REJECTS_LOGGED + 1:
            log.warning("Further rejects with %s are in rejects.csv only.", code)
        elif self.logged[code] <= _REJECTS_LOGGED:
            said = error_words(
                was_sent=outcome.api is not None, fields=outcome.error_fields, message=outcome.error_message
            )
            name = f"key {log_name(outcome.key, salt=self.salt)}: " if is_named(code) else ""
            log.warning("Rejected: %s%s (%s)", name, code, said or "no field named")
