"""The create operator as ``changed_only.py`` runs it, in a process of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks._emulator import connect, execute
from benchmarks._measure import measured
from benchmarks._task import MODULES, idle_task, operator_for


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("export", type=Path)
    parser.add_argument("url")
    parser.add_argument("results", type=Path)
    parser.add_argument("how", choices=("changed", "refresh", "without"))
    parser.add_argument("memory", choices=("table", "results"))
    args = parser.parse_args()

    def run() -> dict[str, int]:
        from airflow_provider_sfleads.exports import SqlTable

        connect(args.url)
        memory = {"write_back": SqlTable("bench_warehouse", "leads")} if args.memory == "table" else {}
        more = {"changed_only": True, "full_refresh": args.how == "refresh", **memory} if args.how != "without" else {}
        report = execute(operator_for("create", args.export, args.results, **more), run_id=args.export.stem + args.how)
        return {name: report[name] for name in ("read", "created", "updated", "unchanged", "api_calls")}

    with idle_task("airflow_provider_sfleads.operators.leads", "airflow_provider_sfleads.exports"):
        measured(run, MODULES)


if __name__ == "__main__":
    main()
