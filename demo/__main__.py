"""`python -m demo`: two Dags of dags/ in a real Airflow, from a DuckDB warehouse into the Salesforce emulator."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import date
from random import Random
from typing import TYPE_CHECKING

from rich.text import Text

from demo import findings, warehouse
from demo.folder import FolderError, make_folder
from demo.guide import show_guide, write_environment
from demo.nights import JOBS, Airflow, Night, airflow_environment, chatter_to, start_airflow
from demo.options import Options, parse
from demo.postgres import postgres
from demo.processes import ChildDiedError, listen, watch
from demo.salesforce import Salesforce, emulator
from demo.screen import Prefilter, make_console, show_problems
from demo.ui import airflow_ui, choose_port, store_connections, ui_environment

if TYPE_CHECKING:
    from rich.console import Console

_INTERRUPTED = 130


def main() -> int:
    """Run the demo; 0 where report and emulator agree."""
    options = parse()
    console = make_console(os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace"))
    try:
        listen()
        return Demo(options, console).run()
    except (FolderError, ChildDiedError, RunFailedError, OSError) as error:
        console.print(Text(str(error), style="red"))
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        console.file.flush()
        # Everything is ended by now; Airflow, interrupted in the middle, would only complain of its lost database.
        os._exit(_INTERRUPTED)


class RunFailedError(RuntimeError):
    """A run of a Dag failed, and what comes after it would only be confused by that."""


class Demo:
    """One demonstration."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        self._screen = Prefilter(console, total=3 + len(JOBS) * (options.days + 1))
        self._file = options.work / "warehouse.duckdb"
        self._sales: Counter[str] = Counter()

    def run(self) -> int:
        """Show it all; 0 where report and emulator agree."""
        options, started = self._options, time.monotonic()
        kept = make_folder(options)
        logs, db = options.work / "logs", options.work / "salesforce.db"
        with ExitStack() as stack:
            salesforce = stack.enter_context(emulator(db, log=logs / "emulator.log", port=options.emulator_port))
            database = stack.enter_context(postgres(logs / "postgres.log")) if options.ui else None
            self._screen.jobs = salesforce.running_jobs
            os.environ.clear()
            os.environ.update(airflow_environment(options.work, salesforce.url, database=database))
            with self._screen.live(), chatter_to(logs / "airflow.log"):
                self._prepare(salesforce, kept=kept)
                nights = self._week(Airflow(salesforce=salesforce, warehouse=self._file), salesforce)
            code = self._tell(nights, seconds=time.monotonic() - started)
            if options.ui:
                self._serve(salesforce)
        return code

    def _serve(self, salesforce: Salesforce) -> None:
        """Leave Airflow's UI running until somebody stops it."""
        options, console = self._options, self._console
        env = ui_environment(os.environ, choose_port(options.port))
        url = env["AIRFLOW__API__BASE_URL"]
        write_environment(options.work, env)
        logs = options.work / "logs"
        with chatter_to(logs / "airflow.log"):
            store_connections()
        with ExitStack() as stack:
            with console.status("starting Airflow's UI"):
                children = stack.enter_context(airflow_ui(env, logs))
            show_guide(console, options, url=url, emulator_url=salesforce.url)
            try:
                watch([*children, salesforce.child])
            except KeyboardInterrupt:
                console.print("Stopping ...")

    def _prepare(self, salesforce: Salesforce, *, kept: bool) -> None:
        options, screen = self._options, self._screen
        screen.step(f"making up {options.leads:,} sign-ups and {options.scores:,} scores")
        if not kept:
            content = warehouse.make_content(options)
            warehouse.fill(self._file, content)
            salesforce.seed(content.old_leads)
        screen.done()
        screen.step("starting Airflow")
        start_airflow()
        screen.done()

    def _week(self, airflow: Airflow, salesforce: Salesforce) -> list[Night]:
        rng = Random(self._options.seed)
        nights: list[Night] = []
        for day in self._options.nights:
            if nights:
                self._screen.step("Sales at work")
                self._sales += salesforce.work_as_sales(rng)
            nights += self._night(airflow, day)
        self._screen.done()
        return [*nights, *self._night(airflow, self._options.nights[-1], again=True)]

    def _night(self, airflow: Airflow, day: date, *, again: bool = False) -> list[Night]:
        nights: list[Night] = []
        for job in JOBS:
            self._screen.step(f"{day}{' again' * again}: {job.dag_id}")
            nights.append(airflow.run(job, day, again=again))
            self._screen.add(nights[-1])
            if nights[-1].failed:
                raise RunFailedError(
                    f"{job.dag_id} failed for {day}; {self._options.work / 'logs/airflow.log'} says why.\n"
                    f"Its report: {dict(nights[-1].report) or 'none'}"
                )
        return nights

    def _tell(self, nights: list[Night], *, seconds: float) -> int:
        console, last = self._console, nights[-1 - len(JOBS)]
        console.print(
            "[dim]again: the last day, run a second time; what is right already stays as it is.\n"
            f"Between the nights, Sales moved {self._sales['moved']} leads on from MQL, converted "
            f"{self._sales['converted']} and deleted {self._sales['deleted']}.[/]\n"
        )
        findings.show_rejects(console, self._options.work / "results")
        console.print()
        # The last day has run twice by now, and the second time its leads were at MQL already.
        qualified = findings.ask_qualified(self._file, last)
        findings.show_qualified(console, last, qualified)
        console.print()
        findings.show_places(console, self._options.work, last)
        console.print()
        problems = [f"{night.day} {night.job.title}: {problem}" for night in nights for problem in night.problems]
        if len(qualified) != last.report.get("updated"):
            problems.append(f"{last.day}: the warehouse does not know the leads that were qualified")
        show_problems(console, problems, runs=len(nights))
        console.print(f"[dim]{seconds:.0f} seconds in all[/]")
        return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
