"""What importing the operators costs a Dag file beyond Airflow's SDK and HTTP hook; the bound is 60 ms."""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 7
BASE = "import airflow.sdk; from airflow.sdk import DAG; from airflow.providers.http.hooks.http import HttpHook"
CODE = (
    f"{BASE}\nimport time; t = time.process_time()\n"
    "import airflow_provider_sfleads.operators.leads, airflow_provider_sfleads.exports\n"
    "print(time.process_time() - t)\n"
    "import sys; assert not {'pyarrow', 'pandas', 'duckdb'} & set(sys.modules)\n"
)


def main() -> None:
    """Import in fresh processes and print the median."""
    times = []
    for _ in range(RUNS):
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
        times.append(float(done.stdout.split()[-1]) * 1000)
    print(f"median {statistics.median(times):.1f} ms, worst {max(times):.1f} ms of CPU (bound: 60 ms)")


if __name__ == "__main__":
    main()
