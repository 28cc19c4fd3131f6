"""A company for tests: its warehouse in PostgreSQL, its org, a week of rows, and Sales at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

from demo.options import Options
from demo.warehouse import make_content

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from demo.warehouse import Record

CREATE, STAGE = "salesforce_create_leads", "salesforce_nightly_mql_sync"
#: The task of each Dag that writes, and when the Dag runs.
TASKS = {CREATE: "create_leads", STAGE: "move_to_mql"}
HOURS = {CREATE: 2, STAGE: 3}
SIGNUPS_A_DAY = 200
_TABLES = """
    CREATE TABLE signups (lead_key TEXT, signed_up_at TIMESTAMPTZ, first_name TEXT, last_name TEXT, company TEXT,
        email TEXT, phone TEXT, city TEXT, country TEXT, lead_source TEXT);
    CREATE TABLE lead_scores (lead_key TEXT, scored_at TIMESTAMPTZ, score TEXT, stage TEXT)
"""


@dataclass(frozen=True)
class Company:
    """A warehouse and an org.

    :param warehouse: URL of the warehouse.
    :param first: the first of the seven days that it has rows of.
    """

    warehouse: str
    org: EmulatorServer
    first: date

    @property
    def days(self) -> list[date]:
        """The days of the week."""
        return [self.first + timedelta(days=n) for n in range(7)]

    def connections(self) -> dict[str, dict[str, Any]]:
        """Airflow's connections to the two, by id."""
        parts = urlsplit(self.warehouse)
        return {
            "warehouse": {
                "conn_type": "postgres",
                "host": parts.hostname,
                "port": parts.port,
                "login": parts.username,
                "schema": parts.path.removeprefix("/"),
            },
            "salesforce_leads_default": {
                "conn_type": "salesforce_leads",
                "host": self.org.url,
                "login": "emulator-key",
                "password": "emulator-secret",
            },
        }

    def work_as_sales(self, rng: Random) -> None:
        """Take over a third of the qualified leads, and convert every third of these."""
        qualified = [lead["Id"] for lead in self.org.leads() if _is_qualified(lead)]
        for place, lead_id in enumerate(rng.sample(qualified, len(qualified) // 3)):
            if place % 3 == 2:
                self.org.convert_lead(lead_id)
            else:
                self.org.edit_lead(lead_id, Lead_Stage__c=("SAL", "SQL")[place % 3])


def found_company(server: str, org: EmulatorServer, first: date) -> Company:
    """A company with a week of rows; the same rows for each week.

    :param server: URL of a PostgreSQL server.
    """
    name = f"warehouse_{uuid4().hex[:8]}"
    company = Company(f"{server.rpartition('/')[0]}/{name}", org, first)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    until = first + timedelta(days=7)
    size = {"days": 7, "leads": 7 * SIGNUPS_A_DAY, "seed": 7}
    content = make_content(Options(work=Path(), keep=False, until=until, emulator_port=0, ui=False, port=0, **size))
    with psycopg.connect(company.warehouse) as connection:
        connection.execute(_TABLES)
        _fill(connection, "signups", content.signups)
        _fill(connection, "lead_scores", content.scores)
    org.seed_leads(content.old_leads)
    return company


def _fill(connection: psycopg.Connection[Any], table: str, rows: Sequence[Record]) -> None:
    with connection.cursor().copy(f"COPY {table} ({', '.join(rows[0])}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(list(row.values()))


def _is_qualified(lead: Mapping[str, Any]) -> bool:
    return lead["Lead_Stage__c"] == "MQL" and not lead["IsConverted"]


def interval_of(dag_id: str, day: date) -> tuple[datetime, datetime]:
    """The interval of a Dag's run for a day."""
    start = datetime.combine(day, time(HOURS[dag_id]), tzinfo=UTC)
    return start, start + timedelta(days=1)
