"""The emulator as a program of its own, what it holds, and what Sales does in it."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import requests

from demo.processes import Child, running, wait_until
from demo.warehouse import Record

# Rows a second and job: Salesforce takes its time too, and a bar that is full at once shows nothing.
_BULK_RATE = 5_000
CLIENT_ID, CLIENT_SECRET = "emulator-key", "emulator-secret"
_URL = re.compile(r"http://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What the emulator holds, counted in its own tables and not by its API.

    :param leads: leads, those in the recycle bin too: whatever was ever created.
    :param at_mql: leads that stand at MQL and are neither deleted nor converted.
    :param twice: leads too many for their external id; the recycle bin does not hold one.
    :param api_calls: calls that it counted.
    """

    leads: int
    at_mql: int
    twice: int
    api_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """A bulk job that the emulator is working on."""

    id: str
    operation: str
    rows: int
    processed: int


@dataclass(frozen=True, slots=True)
class Salesforce:
    """A running emulator."""

    url: str
    db: Path
    child: Child

    def holdings(self) -> Holdings:
        """Count."""
        stats: dict[str, Any] = self.control("GET", "/stats")
        with closing(self._read()) as db:
            (leads,) = db.execute("SELECT COUNT(*) FROM Lead").fetchone()
            (at_mql,) = db.execute(
                "SELECT COUNT(*) FROM Lead WHERE Lead_Stage__c = 'MQL' AND NOT IsDeleted AND NOT IsConverted"
            ).fetchone()
            (twice,) = db.execute(
                "SELECT COUNT(*) - COUNT(DISTINCT LOWER(External_Id__c)) FROM Lead "
                "WHERE External_Id__c IS NOT NULL AND NOT IsDeleted"
            ).fetchone()
        return Holdings(leads=leads, at_mql=at_mql, twice=twice, api_calls=stats["api_used"])

    def control(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON of that action
        """Call the control API."""
        reply = requests.request(method, f"{self.url}/_emulator{path}", json=body, timeout=60)
        reply.raise_for_status()
        return reply.json()

    def running_jobs(self) -> list[RunningJob]:
        """Return the bulk jobs that are not over."""
        return [
            RunningJob(id=job["id"], operation=job["operation"], rows=job["rows"], processed=job["processed"])
            for job in self.control("GET", "/jobs")
            if job["state"] in ("UploadComplete", "InProgress")
        ]

    def seed(self, leads: Sequence[Record]) -> None:
        """Put leads there as if they had long been there."""
        for start in range(0, len(leads), 500):
            self.control("POST", "/leads", list(leads[start : start + 500]))

    def work_as_sales(self, rng: Random) -> Counter[str]:
        """Do a day's work in Sales: take over qualified leads, convert some, delete some; return how many."""
        with closing(self._read()) as db:
            rows = db.execute(
                "SELECT Id, Lead_Stage__c FROM Lead WHERE NOT IsDeleted AND NOT IsConverted ORDER BY External_Id__c"
            ).fetchall()
        qualified = [lead for lead, stage in rows if stage == "MQL"]
        fresh = [lead for lead, stage in rows if stage is None]
        chosen = rng.sample(qualified, min(60, len(qualified) // 4))
        for lead in chosen[::3]:
            self.control("PATCH", f"/leads/{lead}", {"Lead_Stage__c": "SAL"})
        for lead in chosen[1::3]:
            self.control("PATCH", f"/leads/{lead}", {"Lead_Stage__c": "SQL"})
        for lead in chosen[2::3]:
            self.control("POST", f"/leads/{lead}/convert", {})
        deleted = rng.sample(fresh, min(15, len(fresh) // 50))
        for lead in deleted:
            self.control("DELETE", f"/leads/{lead}")
        converted = len(chosen[2::3])
        return Counter(moved=len(chosen) - converted, converted=converted, deleted=len(deleted))

    def _read(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.db}?mode=ro", uri=True, timeout=30)


@contextmanager
def emulator(db: Path, *, log: Path, port: int = 0) -> Iterator[Salesforce]:
    """Run the emulator for as long as the block lasts."""
    log.unlink(missing_ok=True)  # its URL is read from there
    rate = ("--set", f"bulk_rate={_BULK_RATE}")
    command = (sys.executable, "-m", "airflow_provider_sfleads.emulator", "--port", str(port), "--db", db, *rate)
    with running(Child("The Salesforce emulator", command, log=log)) as child:
        wait_until(lambda: bool(_url(log)), seconds=30, what="The Salesforce emulator", children=[child])
        yield Salesforce(url=_url(log), db=db, child=child)


def _url(log: Path) -> str:
    # A line that is not whole yet has no blank after the URL.
    found = _URL.search(log.read_text(encoding="utf-8").rpartition(" ")[0])
    return found.group() if found else ""
