"""What sending an export through Salesforce's bulk APIs costs: this provider's operator beside other clients.

All read the same Parquet export of eight columns, send it by upsert, fetch the results and count them, each time in a
fresh process and against an emulator that counts rows and does not keep them. This provider's operator also maps and
checks every value and records what became of every row; the others do neither. ``SalesforceBulkOperator`` of
``apache-airflow-providers-salesforce`` speaks Bulk API 1.0, which the emulator does not, and gets a stand-in that
answers at once. It is measured where it is installed: ``.venv/bin/python -m pip install --no-deps
apache-airflow-providers-salesforce==5.15.1``. It is not pinned with the rest, for it brings pandas, and pyarrow loads
pandas into every process where it finds it (half a second, 50 MB): every other figure would be another one.

CPU is user and system time of all the process's threads, from the first byte read to the last result counted; what
loading modules takes is told apart, for it goes with the task and not with the rows. Memory is the peak above what the
process had before either. Medians. The bound is a ratio, of 500,000 rows or more: every other client takes at least 2.5
times the CPU. Of few rows, what goes with a task and not with its rows counts for most.

``python3 dev.py bench bulk_clients`` takes some six minutes; ``--rows 20000 --runs 1`` is a quick look.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks._emulator import emulator, serving
from benchmarks._export import write_export
from benchmarks._measure import Cost, alone

OURS = "this provider"
PEERS = {
    "records": "simple-salesforce bulk2, records=",
    "csv_file": "simple-salesforce bulk2, csv_file=",
    "official": "SalesforceBulkOperator (Bulk API 1.0)",
}
RATIO, ROWS_FOR_RATIO = 2.5, 500_000
_PROVIDER = "airflow.providers.salesforce"


def measure(client: str, export: Path, rows: int) -> Cost:
    """Send the export once."""
    if client == "official":
        with serving("benchmarks._bulk1") as url:
            cost = alone("_peer", client, export, url)
    else:
        with emulator(counting=True) as url:
            cost = alone("_task", "create", export, url) if client == OURS else alone("_peer", client, export, url)
    assert cost.counts["created"] == rows, cost.counts
    return cost


def median(costs: list[Cost], figure: str) -> float:
    """Return the median of one of the figures."""
    return float(statistics.median(getattr(cost, figure) for cost in costs))


def compare(rows: int, clients: list[str], runs: int, export: Path) -> float:
    """Measure clients with one export, turn by turn, so that a busy machine is busy for all of them.

    Returns the least ratio of another client's CPU to ours.
    """
    costs: dict[str, list[Cost]] = {client: [] for client in clients}
    for _ in range(runs):
        for client, found in costs.items():
            found.append(measure(client, export, rows))
    print(f"{rows:,} rows, medians of {runs}", flush=True)
    ours, least = median(costs[OURS], "cpu"), math.inf
    for client, found in costs.items():
        cpu = median(found, "cpu")
        said = ""
        if client != OURS:
            least = min(least, cpu / ours)
            said = f"; {cpu / ours:.1f} times ours"
        print(
            f"  {PEERS.get(client, client):38}{cpu:6.2f} s CPU ={rows / cpu:8,.0f} rows/s, "
            f"{median(found, 'imports'):.2f} s of imports, "
            f"{median(found, 'growth'):+5.0f} MB, {median(found, 'wall'):4.1f} s{said}",
            flush=True,
        )
    return least


def main() -> None:
    """Compare the clients with each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 500_000], help="for all clients")
    parser.add_argument("--rows-alone", type=int, nargs="*", default=[1_000_000], help="for this provider only")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    peers = [client for client in PEERS if client != "official" or find_spec(_PROVIDER)]
    if "official" not in peers:
        print("SalesforceBulkOperator is left out: apache-airflow-providers-salesforce is not installed.")
    sizes = [(rows, [OURS, *peers]) for rows in args.rows] + [(rows, [OURS]) for rows in args.rows_alone]
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "leads.parquet"
        for rows, clients in sizes:
            write_export(export, rows)
            least = compare(rows, clients, args.runs, export)
            if rows >= ROWS_FOR_RATIO and least < RATIO:
                sys.exit(f"Another client takes {least:.1f} times our CPU, and the bound is {RATIO}.")


if __name__ == "__main__":
    main()
