"""What ``changed_only`` saves in a night in which one row in a hundred changed.

One Parquet export goes through the create operator (``existing="update"``, bulk) four times: without a memory; the
first night, which everything is new in; the second with ``changed_only``; and the second with ``full_refresh``. Each
runs in a fresh process, against an emulator that counts rows and keeps none; in brackets, how many times the CPU
of the run without a memory. The memory is a DuckDB table (``write_back``), or with ``--memory results`` the results of
the first night.

``python3 dev.py bench changed_only --rows 100000`` is a quick look; the default is a million rows.
"""
# ruff: noqa: TID253 - no Dag file imports this, nor a process that is measured

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks._emulator import emulator
from benchmarks._export import write_export
from benchmarks._measure import alone

_EVERY = 100


def change(export: Path, changed: Path) -> None:
    """Write the export of the next night: the company of every hundredth lead is another one."""
    table = pq.read_table(export)
    company = table.column("company").to_pylist()
    company[::_EVERY] = [f"{name} (new)" for name in company[::_EVERY]]
    place = table.schema.get_field_index("company")
    pq.write_table(table.set_column(place, "company", pa.array(company)), changed)


def main() -> None:
    """Run the nights, and say what each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", choices=("table", "results"), default="table")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, emulator(counting=True) as url:
        first, second = Path(folder) / "first.parquet", Path(folder) / "second.parquet"
        write_export(first, args.rows)
        change(first, second)
        table = json.dumps({"conn_type": "duckdb", "host": f"{folder}/warehouse.duckdb"})
        os.environ["AIRFLOW_CONN_BENCH_WAREHOUSE"] = table
        without: float | None = None
        for title, export, how in (
            ("without a memory", first, "without"),
            ("first night", first, "changed"),
            ("second night, changed_only", second, "changed"),
            ("second night, full_refresh", second, "refresh"),
        ):
            cost = alone("_remembering", export, url, f"{folder}/results", how, args.memory)
            sent = cost.counts["created"] + cost.counts["updated"]
            without = without or cost.cpu
            print(
                f"{title}: {cost.counts['read']:,} rows read, {cost.counts['unchanged']:,} unchanged, "
                f"{sent:,} sent in {cost.counts['api_calls']} calls; {cost.cpu:.1f} s CPU "
                f"({cost.cpu / without:.1f} times), {cost.wall:.1f} s, {cost.growth:.0f} MB above an idle task",
                flush=True,
            )


if __name__ == "__main__":
    main()
