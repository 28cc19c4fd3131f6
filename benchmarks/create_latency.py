"""How close 10,000 creates come to the ideal when Salesforce answers in 150 ms.

The ideal is 50 requests, 4 in flight: 13 rounds of 150 ms. Measured at the emulator, in a process of its own,
from the arrival of the first create to the end of the last reply. Run with ``python3 dev.py bench``.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
import tempfile
from pathlib import Path

from benchmarks._emulator import connect, control, emulator, execute

ROWS, PAGE, IN_FLIGHT = 10_000, 200, 4


def create_leads(url: str, folder: Path, *, seed: int) -> dict[str, object]:
    """Create 10,000 new leads through the operator."""
    connect(url)
    from airflow_provider_sfleads.exports import FileExport
    from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator

    path = folder / f"leads-{seed}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "first", "last", "company", "email"])
        writer.writerows(
            [f"{seed}-{n:032}", "Ada", f"Lovelace {n}", f"Acme {n % 97}", f"ada{n}@example.com"] for n in range(ROWS)
        )
    operator = SalesforceCreateLeadsOperator(
        task_id="create",
        export=FileExport(str(path)),
        key="key",
        external_id_field="External_Id__c",
        fields={"first": "FirstName", "last": "LastName", "company": "Company", "email": "Email"},
        api="collections",
        concurrency=IN_FLIGHT,
        results_path=str(folder),
    )
    return execute(operator, run_id=str(seed))


def main() -> None:
    """Run several times and print the ratio to the ideal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=int, default=150)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    ideal = math.ceil(ROWS / PAGE / IN_FLIGHT) * args.latency_ms / 1000
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("AIRFLOW_HOME", folder)
        with emulator(latency_ms=args.latency_ms) as url:
            for run in range(args.runs + 1):
                control(url, "reset", "POST")
                report = create_leads(url, Path(folder), seed=run)
                assert report["created"] == ROWS, report
                creates = [call for call in control(url, "requests?limit=1000") if "composite" in call["path"]]
                seconds = max(call["ended"] for call in creates) - min(call["started"] for call in creates)
                if run:  # the first run pays for imports
                    ratios.append(seconds / ideal)
                    print(f"run {run}: {len(creates)} creates in {seconds:.3f} s, {ratios[-1]:.3f} times the ideal")
    print(f"median {statistics.median(ratios):.3f}, worst {max(ratios):.3f} times the ideal of {ideal} s")


if __name__ == "__main__":
    main()
