"""How close 10,000 creates come to the ideal when Salesforce answers in 150 ms.

The ideal is 50 requests, 4 in flight: 13 rounds of 150 ms. Measured at the emulator, in a process of its own,
from the arrival of the first create to the end of the last reply. Run with ``python3 dev.py bench``.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROWS, PAGE, IN_FLIGHT = 10_000, 200, 4


def start_emulator(latency_ms: int) -> tuple[subprocess.Popen[str], str]:
    """Start an emulator and return it with its URL."""
    options = ["--port", "0", "--latency-ms", str(latency_ms)]
    command = [sys.executable, "-m", "airflow_provider_sfleads.emulator", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    return process, next(word for word in line.split() if word.startswith("http")).rstrip("/.,")


def control(url: str, path: str, method: str = "GET") -> Any:  # noqa: ANN401 - JSON
    """Ask the emulator's control API."""
    request = urllib.request.Request(f"{url}/_emulator/{path}", method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as reply:  # noqa: S310 - loopback
        return json.loads(reply.read() or "null")


def create_leads(url: str, folder: Path, *, seed: int) -> dict[str, object]:
    """Create 10,000 new leads through the operator."""
    connection = {"conn_type": "salesforce_leads", "host": url, "login": "emulator-key", "password": "emulator-secret"}
    os.environ["AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT"] = json.dumps(connection)
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
        concurrency=IN_FLIGHT,
        results_path=str(folder),
    )
    ti = SimpleNamespace(dag_id="bench", run_id=str(seed), task_id="create", map_index=-1, try_number=1)
    context: Any = {"ti": ti, "params": {}}
    return operator.execute(context)


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
        process, url = start_emulator(args.latency_ms)
        try:
            for run in range(args.runs + 1):
                control(url, "reset", "POST")
                report = create_leads(url, Path(folder), seed=run)
                assert report["created"] == ROWS, report
                creates = [call for call in control(url, "requests?limit=1000") if "composite" in call["path"]]
                seconds = max(call["ended"] for call in creates) - min(call["started"] for call in creates)
                if run:  # the first run pays for imports
                    ratios.append(seconds / ideal)
                    print(f"run {run}: {len(creates)} creates in {seconds:.3f} s, {ratios[-1]:.3f} times the ideal")
        finally:
            process.terminate()
            process.wait()
    print(f"median {statistics.median(ratios):.3f}, worst {max(ratios):.3f} times the ideal of {ideal} s")


if __name__ == "__main__":
    main()
