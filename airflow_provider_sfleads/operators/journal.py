"""What a task remembers between its tries, in Airflow's task state store.

The store survives retries, a killed worker, and also "clear" and a backfill's reprocess: it is the journal's own
``open`` that tells a retry, which goes on, from a deliberate re-run, which begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Protocol

_KEY = "salesforce_leads"


class Store(Protocol):
    """Airflow's task state store, as far as it is used here."""

    def get(self, key: str) -> object:
        """Read a value."""

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Write a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of a task: a first try and the retries that resume it.

    :param name: name of its folder.
    :param dry_run: whether it sends nothing; a live try never resumes a dry one.
    :param started_at: when its first try began, ISO 8601.
    :param tries: tries so far, this one included.
    :param api_calls: REST requests of the tries before this one.
    :param token_requests: token requests of the tries before this one.
    :param open: whether rows are unaccounted for.
    """

    name: str
    dry_run: bool
    started_at: str
    tries: int = 1
    api_calls: int = 0
    token_requests: int = 0
    open: bool = True


@dataclass(slots=True)
class Journal:
    """Keeps the execution at hand; without a store (Airflow before 3.3) each try is an execution of its own."""

    store: Store | None

    def begin(self, now: datetime, *, dry_run: bool) -> Execution:
        """Go on with the execution that an earlier try left open, or begin one."""
        last = self._last()
        if last is not None and last.open and last.dry_run == dry_run:
            execution = replace(last, tries=last.tries + 1)
        else:
            name = now.strftime("%Y%m%dT%H%M%S.%fZ")
            execution = Execution(name=name, dry_run=dry_run, started_at=now.isoformat())
        self._keep(execution)
        return execution

    def end(self, execution: Execution, *, api_calls: int, token_requests: int, is_open: bool) -> None:
        """Note what a try cost, and whether another one has to go on.

        :param api_calls: of the whole execution.
        :param token_requests: likewise.
        """
        self._keep(replace(execution, api_calls=api_calls, token_requests=token_requests, open=is_open))

    def _keep(self, execution: Execution) -> None:
        if self.store is not None:
            self.store.set(_KEY, asdict(execution))

    def _last(self) -> Execution | None:
        value = self.store.get(_KEY) if self.store is not None else None
        if not isinstance(value, Mapping):
            return None
        try:
            return Execution(**value)
        except TypeError:
            # Somebody edited it in the UI, or another version of this provider wrote it.
            return None
