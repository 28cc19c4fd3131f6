"""How far the memory of a task grows that sends millions of rows through Bulk API 2.0.

One Parquet export of eight columns goes through the create operator (``existing="update"``, so by upsert) and through
the stage operator, each in a fresh process and against an emulator that counts rows and does not keep them. Measured
is the peak of resident memory above that of the same process just before the operator begins, when it has loaded what
an Airflow task process has. The bound is 300 MB, and five times the rows may not take more than 10 % on top.

``python3 dev.py bench bulk_memory`` takes some five minutes and 2 GB of disk; ``--rows 50000`` is a quick look.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks._emulator import emulator
from benchmarks._export import write_export
from benchmarks._measure import Cost, alone

BOUND_MB, MORE = 300, 1.1


def run(kind: str, rows: int, export: Path) -> Cost:
    """Run an operator over the export."""
    with emulator(counting=True, virtual_leads=rows if kind == "stage" else 0) as url:
        cost = alone("_task", kind, export, url)
    assert cost.counts["read"] == cost.counts["created" if kind == "create" else "updated"] == rows, cost.counts
    return cost


def main() -> None:
    """Run each operator with each size, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000])
    args = parser.parse_args()
    growth: dict[str, list[float]] = {"create": [], "stage": []}
    with tempfile.TemporaryDirectory() as folder:
        for rows in args.rows:
            export = Path(folder) / f"{rows}.parquet"
            write_export(export, rows)
            for kind, found in growth.items():
                cost = run(kind, rows, export)
                found.append(cost.growth)
                said = "within" if cost.growth <= BOUND_MB else "BEYOND"
                print(
                    f"{kind}, {rows:,} rows: {cost.growth:.0f} MB above the {cost.idle:.0f} MB of an idle task "
                    f"({said} {BOUND_MB} MB), {cost.cpu:.1f} s CPU, {cost.wall:.1f} s, "
                    f"{cost.counts['api_calls']} calls",
                    flush=True,
                )
            export.unlink()
    for kind, found in growth.items():
        if len(found) > 1:
            said = "no growth" if found[-1] <= found[0] * MORE else "GROWTH"
            print(f"{kind}: {said} from {args.rows[0]:,} to {args.rows[-1]:,} rows ({found[-1] - found[0]:+.0f} MB)")


if __name__ == "__main__":
    main()
