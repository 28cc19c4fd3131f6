"""How quick the "Lead syncs" page is, beside Airflow's own pages.

A real API server on PostgreSQL knows a thousand nights' syncs, a year of hourly ones, and twenty thousand return values
of other tasks; one sync has the results of a million rows. Each request is made several times, by turns with the one
that Airflow's own list of Dag runs makes; medians, and the ratio of both.

``python3 dev.py bench lead_syncs --rows 100000`` is a quick look.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from sqlalchemy import text

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.results.folder import ResultsFolder
from demo.postgres import postgres
from demo.processes import Child, running, wait_until
from demo.ui import free_port, ui_environment
from tests.ui import made_up

_ROUNDS = 7
_OTHERS = 20
# Reports of a Dag that runs every hour, besides: a year of them.
_HOURS = 24 * 365
_LAST = datetime(2026, 11, 23, 3, tzinfo=UTC)
_EXECUTION = "20261123T030000.000000Z"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the one sync whose rows are looked at")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with postgres(folder / "postgres.log") as database, api_server(folder, database) as url:
            run_id = fill(database, folder, args.rows)
            yardstick = lambda: get(f"{url}/api/v2/dags/~/dagRuns", limit=100)  # noqa: E731
            rows = f"{url}/sfleads/api/dags/syncs/runs/{run_id}/tasks/sync/rows"
            for title, work in {
                "100 syncs": lambda: get(
                    f"{url}/sfleads/api/syncs", since=(_LAST - timedelta(days=99)).isoformat(), dag_id="syncs"
                ),
                "a month of two Dags, one of which runs every hour": lambda: get(
                    f"{url}/sfleads/api/syncs", since=(_LAST - timedelta(days=30)).isoformat()
                ),
                "1,000 syncs, and the newest of the other Dag": lambda: get(
                    f"{url}/sfleads/api/syncs", since=(_LAST - timedelta(days=999)).isoformat()
                ),
                f"a page of the rejects of {args.rows:,} rows": lambda: get(rows, action="rejected"),
                f"the last page of {args.rows:,} rows": lambda: get(rows, offset=args.rows - 100),
                f"a search in {args.rows:,} rows": lambda: get(rows, "k-99"),
            }.items():
                mine, theirs = by_turns(work, yardstick)
                print(f"{title}: {mine * 1000:,.0f} ms, {mine / theirs:.1f} times a list of 100 Dag runs")


def by_turns(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    """Return the median seconds of both."""
    took: tuple[list[float], list[float]] = [], []
    for number in range(_ROUNDS + 1):
        for work, seconds in zip((first, second), took, strict=True):
            began = time.perf_counter()
            work()
            if number:  # the first of each loads what there is to load
                seconds.append(time.perf_counter() - began)
    return statistics.median(took[0]), statistics.median(took[1])


def get(url: str, search: str = "", **parameters: str | int) -> None:
    """Ask, and take the whole answer."""
    reply = requests.get(url, params=parameters, headers={"X-Lead-Syncs-Search": search}, timeout=120)
    assert reply.ok, reply.text
    assert reply.json()


@contextmanager
def api_server(folder: Path, database: str) -> Iterator[str]:
    """Yield an API server in which everybody is an admin; its address."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env: Mapping[str, str] = ui_environment(mine, free_port()) | {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
    }
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True)
    command = (sys.executable, "-m", "airflow", "api-server")
    url = env["AIRFLOW__API__BASE_URL"]
    with running(Child("the API server", command, log=folder / "api-server.log", env=env)) as child:
        wait_until(lambda: answers(url), seconds=180, what="the API server", children=[child])
        yield url


def answers(url: str) -> bool:
    """Return whether it is up."""
    try:
        return requests.get(f"{url}/api/v2/version", timeout=10).ok
    except requests.ConnectionError:
        return False


def fill(database: str, folder: Path, rows: int) -> str:
    """Make up what there is to look at; return the run whose sync has rows."""
    with made_up.database(database) as session:
        for dag_id in ("syncs", "others", "hourly"):
            made_up.add_dag(session, dag_id)
        for night in range(1_000):
            ran_at = _LAST - timedelta(days=night)
            run_id = f"scheduled__{ran_at.isoformat()}"
            path = ResultsFolder(folder, "syncs", run_id, "sync", -1, _EXECUTION).url
            made_up.add_sync(session, "syncs", ran_at, report={"results_path": path})
            for number in range(_OTHERS):
                task = {"task_id": f"task_{number}", "map_index": -1}
                made_up.add_task(session, "others", ran_at, task, value={"of": "x" * 200})
        for hour in range(_HOURS):
            made_up.add_sync(session, "hourly", _LAST - timedelta(hours=hour, minutes=7), report={})
        # As a database that runs for a while has done by itself.
        session.commit()
        session.execute(text("ANALYZE"))
    run_id = f"scheduled__{_LAST.isoformat()}"
    results = ResultsFolder(folder, "syncs", run_id, "sync", -1, _EXECUTION)
    with results.writer(columns=("id",)) as writer:
        for number in range(rows):
            is_bad = not number % 50
            bad = (
                {"error_code": "STRING_TOO_LONG", "error_message": "Last name: data value too large"} if is_bad else {}
            )
            action = Action.REJECTED if is_bad else Action.UNCHANGED
            writer.write(Outcome(key=f"k-{number}", action=action, finished_at=_LAST, **bad), {"id": number})  # type: ignore[arg-type]
    return run_id


if __name__ == "__main__":
    main()
