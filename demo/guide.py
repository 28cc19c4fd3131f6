"""What to do with Airflow's UI once it runs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.text import Text

from demo.nights import JOBS
from demo.options import Options

if TYPE_CHECKING:
    from rich.console import Console

_FILE = "airflow.env"


def write_environment(work: Path, env: Mapping[str, str]) -> Path:
    """Write what `airflow` on a command line needs to find this Airflow."""
    path = work / _FILE
    path.touch(mode=0o600)
    lines = [f"{name}={shlex.quote(value)}" for name, value in sorted(env.items()) if name.startswith("AIRFLOW_")]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def show_guide(console: Console, options: Options, *, url: str, emulator_url: str) -> None:
    """Say where to look, what to try, and how to stop."""
    first, last = options.spare_days[0], options.spare_days[-1]
    create, stage = (job.dag_id for job in JOBS)
    steps = (
        f"Airflow      [bold]{url}[/]  (no login; this machine only)\n"
        f"Salesforce   [bold]{emulator_url}[/]  (the emulator: its leads, and each one's history)\n\n"
        f"[bold]Try a backfill, dry at first.[/] The warehouse also holds the days from {first} to {last}, and "
        "Salesforce has not seen them:\n"
        f"  1. Open {url}/dags/{create}_dry_run, press Trigger and choose Backfill.\n"
        f"  2. From: pick {first:%B %-d}. To: pick {last:%B %-d}. It says that {options.days} runs will be triggered. "
        "Leave the rest as it is, and press Run Backfill.\n"
        "  3. Click a run's green square to read its log, which begins with DRY RUN; what it would create is under "
        f"Storage, XCom. (The runs above logged to {options.work / 'logs/airflow.log'}.)\n"
        f"  4. Do the same with {url}/dags/{create}, which is live. When its runs are green, go on with "
        f"{url}/dags/{stage}, which moves leads that are there.\n"
        f"  5. See the new leads at {emulator_url}.\n"
        "Run the same backfill again with All Runs: nothing is created, and nothing changes. "
        "The Dag salesforce_create_and_qualify creates and moves in one run."
    )
    console.print(Panel(Text.from_markup(steps), title="Airflow and the emulator are running", border_style="green"))
    console.print("The same from another terminal:")
    airflow = shlex.quote(str(Path(sys.executable).with_name("airflow")))
    until = last + timedelta(days=1)
    commands = [f"set -a; . {shlex.quote(str(options.work / _FILE))}; set +a"]
    for dag_id in (f"{create}_dry_run", create, stage):
        commands.append(f"{airflow} dags unpause {dag_id}")
        commands.append(f"{airflow} backfill create --dag-id {dag_id} --from-date {first} --to-date {until}")
    for command in commands:
        console.print(Text(f"  {command}"), soft_wrap=True)
    console.print("[bold]Ctrl-C[/] here stops all of it.")
