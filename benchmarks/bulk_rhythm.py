"""How soon a bulk job's end is noticed, how often it is asked about, and how many API calls a load takes.

A job that Salesforce needs two seconds for has to be done, results and all, five seconds after its upload is complete,
with the worker waiting by itself. A job of an hour may be polled 80 times. A create of 500,000 rows, whose upload is
below Salesforce's limit, may take 12 calls and a stage update one call more for each 2,000 leads, polling aside; the
calls are those that the emulator counted, logins excluded.

``python3 dev.py bench bulk_rhythm`` takes about a minute; ``--rows 20000`` is a quick look.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._emulator import control, emulator
from benchmarks._export import write_export
from benchmarks._task import idle_task, run

SHORT_JOB, DONE_WITHIN = 2.0, 5.0
LONG_JOB, MOST_POLLS = 3600.0, 80
MOST_CALLS, IDS_TO_A_READ = 12, 2_000


def verdict(value: float, most: float) -> str:
    """Return how a figure stands to its bound."""
    return f"{'at most' if value <= most else 'MORE than'} {most:,.0f}"


def short_job(folder: Path) -> None:
    """Time a job from the end of its upload to the end of the task."""
    export = folder / "short.parquet"
    write_export(export, 10_000)
    with emulator(bulk_delay=SHORT_JOB, counting=True) as url:
        run("create", export, url)
        ended = time.time()
        calls: list[dict[str, Any]] = control(url, "requests?limit=1000")
    closed = max(call["ended"] for call in calls if call["method"] == "PATCH")
    seconds = ended - closed
    print(f"a job of {SHORT_JOB:.0f} s: done {seconds:.1f} s after its upload ({verdict(seconds, DONE_WITHIN)} s)")


def long_job() -> None:
    """Count the polls of a job that takes an hour."""
    from airflow_provider_sfleads.salesforce.ingest_jobs import next_poll

    elapsed, polls = 0.0, 0
    while elapsed < LONG_JOB:
        elapsed += next_poll(elapsed)
        polls += 1
    print(f"a job of {LONG_JOB:.0f} s: {polls} polls ({verdict(polls, MOST_POLLS)})")


def count_calls(kind: str, rows: int, export: Path) -> None:
    """Count the calls of a load."""
    with emulator(counting=True, virtual_leads=rows if kind == "stage" else 0) as url:
        counts = run(kind, export, url)
        calls: dict[str, Any] = control(url, "stats")["calls"]
    asked = {route: count for route, count in calls.items() if "/oauth2/" not in route}
    polls = sum(count for route, count in asked.items() if _is_poll(route))
    made = sum(asked.values())
    most = MOST_CALLS + (-(-rows // IDS_TO_A_READ) if kind == "stage" else 0)
    assert made == counts["api_calls"], (made, counts)
    print(f"{kind}, {rows:,} rows: {made - polls} calls ({verdict(made - polls, most)}) and {polls} polls")
    for route, count in sorted(asked.items()):
        print(f"    {count:3} {route}")


def _is_poll(route: str) -> bool:
    return route.startswith("GET ") and route.endswith(("/ingest/{id}", "/query/{id}"))


def main() -> None:
    """Take all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, idle_task():
        folder = Path(name)
        short_job(folder)
        long_job()
        export = folder / "leads.parquet"
        write_export(export, args.rows)
        for kind in ("create", "stage"):
            count_calls(kind, args.rows, export)


if __name__ == "__main__":
    main()
