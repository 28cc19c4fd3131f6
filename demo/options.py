"""What the demo can be told."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NIGHT = 3  # o'clock, UTC: when the later of the two Dags runs

_ABOUT = """\
Run two Dags of dags/ in a real Airflow, night by night over a week, from a DuckDB warehouse into the Salesforce
emulator, and show what each run reported beside what the emulator holds.

Everything happens on this machine and in one folder. Nothing is sent to Salesforce."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The demo's arguments.

    :param work: folder for everything that is written.
    :param until: the day after the last one that is synced.
    :param leads: sign-ups in all days together.
    """

    work: Path
    keep: bool
    until: date
    days: int
    leads: int
    seed: int
    emulator_port: int
    ui: bool
    port: int

    @property
    def scores(self) -> int:
        """Rows of scores in all days together."""
        return self.leads * 4 // 3

    @property
    def nights(self) -> list[date]:
        """The days that are synced."""
        return [self.until - timedelta(days=back) for back in range(self.days, 0, -1)]

    @property
    def spare_days(self) -> list[date]:
        """As many days before those, in the warehouse but left to a backfill from the UI."""
        return [day - timedelta(days=self.days) for day in self.nights] if self.ui else []

    def data(self) -> dict[str, str | int]:
        """Return what the warehouse's content follows from."""
        return {
            "until": self.until.isoformat(),
            "days": self.days,
            "spare_days": len(self.spare_days),
            "leads": self.leads,
            "seed": self.seed,
        }


def parse(argv: Sequence[str] | None = None) -> Options:
    """Read the command line; ends the program where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python3 dev.py demo", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--leads", type=_count, default=30_000, metavar="N", help="sign-ups in the week (default: 30000)")
    add("--days", type=_count, default=7, metavar="N", help="days to sync (default: 7)")
    add("--until", type=date.fromisoformat, metavar="DATE", help="the day after the last (default: today, in UTC)")
    add("--seed", type=int, default=7, metavar="N", help="of the made-up data (default: 7)")
    add("--work", type=Path, default=ROOT / ".demo", metavar="DIR", help="folder for everything (default: .demo)")
    add("--keep", action="store_true", help="go on with the folder of the last demo instead of making it anew")
    add("--emulator-port", type=int, default=0, metavar="PORT", help="port of the emulator (default: a free one)")
    add("--ui", action="store_true", help="leave Airflow's UI and the emulator running afterwards, until Ctrl-C")
    add("--port", type=int, default=0, metavar="PORT", help="port of Airflow's UI (default: 8080, or a free one)")
    args = parser.parse_args(argv)
    last = (datetime.now(UTC) - timedelta(hours=NIGHT)).date()
    if args.until is not None and args.until > last:
        parser.error(f"--until {args.until}: the night before it is not over; {last} is the latest")
    return Options(**vars(args) | {"until": args.until or last, "work": args.work.resolve()})


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: it takes a whole number, 1 or more")
    return number
