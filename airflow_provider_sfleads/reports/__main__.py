"""Prints the reports of many runs together: ``python -m airflow_provider_sfleads.reports <results_path>``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console

from airflow_provider_sfleads.core.report import again, shown
from airflow_provider_sfleads.core.text import parse_datetime
from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.reports.reading import RecordedReport, Totals, read_reports
from airflow_provider_sfleads.reports.table import in_one_line, tables_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was asked for.

    :return: 0; 1 where some report, or all, could not be read; 2 where the path or an option is wrong.
    """
    asked = _parser().parse_args(arguments)
    try:
        found = list(
            read_reports(
                asked.results_path,
                dag_id=asked.dag,
                task_id=asked.task,
                since=asked.since,
                until=asked.until,
                all_executions=asked.all,
            )
        )
    except (ParameterError, OSError) as problem:
        print(problem, file=sys.stderr)  # noqa: T201 - talks to a terminal
        return 2
    if asked.json:
        print(json.dumps(_as_json(found), indent=2, ensure_ascii=False))  # noqa: T201
    else:
        _show(found)
    return 1 if any(each.problem for each in found) or not found else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sfleads.reports",
        description="The reports of many runs together, such as those of a backfill: a line each, and what they come "
        "to. Of each task instance the newest live run and the newest dry run are shown; what was created and "
        "updated before it was cleared counts.",
        epilog="It ends with 1 where something could not be read, with 2 where the path or an option is wrong.",
    )
    parser.add_argument("results_path", help="as the operators have it; any URL that Airflow's ObjectStoragePath takes")
    parser.add_argument("--dag", help="only this Dag")
    parser.add_argument("--task", help="only this task")
    parser.add_argument(
        "--from", dest="since", type=_moment, metavar="DATE", help="intervals that start then or later (ISO 8601, UTC)"
    )
    parser.add_argument(
        "--to", dest="until", type=_moment, metavar="DATE", help="intervals that start before (ISO 8601, UTC)"
    )
    parser.add_argument(
        "--all", action="store_true", help="each execution alone, also those that were cleared and run once more"
    )
    parser.add_argument("--json", action="store_true", help="reports and sums as JSON instead of the table")
    return parser


def _moment(text: str) -> datetime:
    moment = parse_datetime(text.strip())
    if moment is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no date or date and time (ISO 8601)")
    return moment


def _as_json(found: Sequence[RecordedReport]) -> dict[str, object]:
    reports, problems = [], []
    live, dry = Totals(), Totals()
    for each in found:
        if each.report is None:
            problems.append({"path": each.path, "problem": each.problem})
            continue
        (dry if each.report.dry_run else live).add(each.report)
        names = ("dag_id", "run_id", "task_id", "map_index", "execution")
        told = each.report.as_json() | shown(each.report) | {"again": again(each.report)}
        reports.append({name: getattr(each, name) for name in names} | told)
    return {"reports": reports, "live": live.as_json(), "dry_run": dry.as_json(), "problems": problems}


def _show(found: Sequence[RecordedReport]) -> None:
    console = Console(highlight=False)
    for line in tables_of(found):
        # What is wider than the terminal is the terminal's to break, and nothing is cut where there is none.
        console.print(line, soft_wrap=True)
    if not any(each.report for each in found):
        console.print("There are no reports.")
    problems = [each for each in found if each.problem]
    if problems:
        print(f"\n{len(problems):,} not shown:", file=sys.stderr)  # noqa: T201
    for each in problems:
        print(in_one_line(f"  {each.path}: {each.problem}"), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
