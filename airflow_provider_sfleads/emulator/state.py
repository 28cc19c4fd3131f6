"""The emulated org: its settings, records, tokens, faults and request log in one place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airflow_provider_sfleads.emulator.bulk_jobs import Jobs
from airflow_provider_sfleads.emulator.bulk_worker import Worker
from airflow_provider_sfleads.emulator.drafts import Reader
from airflow_provider_sfleads.emulator.faults import Faults
from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema
from airflow_provider_sfleads.emulator.ids import ACTIVE_RULE_ID, RUN_AS_USER_ID
from airflow_provider_sfleads.emulator.journal import Journal
from airflow_provider_sfleads.emulator.lead_fields import lead_schema
from airflow_provider_sfleads.emulator.locators import Locators
from airflow_provider_sfleads.emulator.oauth import Tokens
from airflow_provider_sfleads.emulator.permissions import Permissions
from airflow_provider_sfleads.emulator.settings import EmulatorSettings
from airflow_provider_sfleads.emulator.store import Store
from airflow_provider_sfleads.emulator.values import format_datetime
from airflow_provider_sfleads.emulator.watching import Watcher


class Emulator:
    """One org. `full_schema` is Lead as it is, `schema` what the run-as user sees of it, `contacts` of Contact."""

    def __init__(
        self,
        settings: EmulatorSettings | None = None,
        *,
        db: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock: Callable[[], float] = lambda: clock() + self.settings.clock_offset
        # It has to tell the time before it is set up.
        self.settings: EmulatorSettings = settings or EmulatorSettings()
        self.store = Store(db)
        self.tokens = Tokens(self.clock)
        self.journal = Journal()
        self.faults = Faults()
        self.locators = Locators()
        self.watchers: list[Watcher] = []
        self._changing = threading.Lock()
        self._indexed: frozenset[FieldSpec] | None = None
        self._seen: tuple[tuple[FieldSpec, ...], Permissions] | None = None
        self._apply(self.settings)
        self.jobs = Jobs(self.store, Path(f"{db}.bulk") if db else None)
        self.worker = Worker(self)

    def _apply(self, settings: EmulatorSettings) -> None:
        full = lead_schema(extra=settings.extra_fields)
        permissions = Permissions.of(settings)
        visible = permissions.seen(full)
        self.store.ensure_columns("Lead", full.fields.values())
        self.store.rename_org(settings.organization_type, is_sandbox=settings.is_sandbox)
        self.store.activate_rule(ACTIVE_RULE_ID, active=settings.assignment_rule_active)
        keyed = frozenset(spec for spec in full.fields.values() if spec.keyed)
        if keyed != self._indexed:
            self.store.reindex(full)
            self._indexed = keyed
        seen = (settings.extra_fields, permissions)
        if seen != self._seen:
            self._seen = seen
            self.described_at = int(self.clock())
        self.full_schema: ObjectSchema = full
        self.schema: ObjectSchema = visible
        self.contacts = permissions.seen(self.store.contacts)
        self.permissions: Permissions = permissions
        self.reader = Reader(visible, per_row=settings.structural_errors == "row", broken=settings.broken)
        self.full_reader = Reader(full, per_row=settings.structural_errors == "row", broken=settings.broken)
        self.bulk_reader = Reader(visible, per_row=True, broken=settings.broken)
        self.defaults: dict[str, Any] = _defaults(full)
        self.settings = settings

    def change_settings(self, changes: Mapping[str, Any]) -> EmulatorSettings:
        """Replace some settings, from the next request on."""
        with self._changing:
            self._apply(self.settings.changed(changes))
            return self.settings

    def now_text(self) -> str:
        """Return the time of the clock, in Salesforce's output form."""
        return format_datetime(datetime.fromtimestamp(self.clock(), tz=UTC))

    def reset(self) -> None:
        """Empty the org and forget every request; settings stay."""
        self.jobs.clear()
        self.store.clear()
        self.tokens.reset()
        self.journal.reset()
        self.faults.clear()
        self.locators.clear()

    def close(self) -> None:
        """Stop working on jobs and close the store."""
        self.worker.stop()
        self.jobs.close()
        self.store.close()

    def stats(self) -> dict[str, Any]:
        """Return the journal's counts, with those of tokens and leads."""
        with self.store.transaction():
            rows = self.store.read("SELECT IsDeleted, IsConverted, COUNT(*) AS n FROM Lead GROUP BY 1, 2")
        live = sum(row["n"] for row in rows if not row["IsDeleted"])
        return {
            **self.journal.stats(),
            "tokens_minted": self.tokens.minted,
            "token_requests": self.tokens.requests,
            "leads": live,
            "leads_deleted": sum(row["n"] for row in rows if row["IsDeleted"]),
            "leads_converted": sum(row["n"] for row in rows if row["IsConverted"] and not row["IsDeleted"]),
        }


def _defaults(schema: ObjectSchema) -> dict[str, Any]:
    values: dict[str, Any] = {"OwnerId": RUN_AS_USER_ID}
    for spec in schema.fields.values():
        if spec.default is not None:
            values[spec.name] = int(spec.default) if spec.type == "boolean" else spec.default
        elif spec.type == "boolean":
            values[spec.name] = 0
    return values
