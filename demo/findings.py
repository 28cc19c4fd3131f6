"""What a person would look up after the nights: rejects, results, and what the warehouse knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from demo.nights import Night
from demo.warehouse import ask

if TYPE_CHECKING:
    from rich.console import Console

_REASONS = """
    SELECT error_code, COUNT(*) AS rows, ARG_MIN(key, finished_at), ARG_MIN(error_message, finished_at)
    FROM read_parquet(?) WHERE action = 'rejected' GROUP BY error_code ORDER BY rows DESC, error_code LIMIT 8"""
_QUALIFIED = """SELECT key, salesforce_id
FROM salesforce_leads
WHERE stage = 'MQL' AND moved_at >= TIMESTAMPTZ '{began}'
ORDER BY key"""


def show_rejects(console: Console, results: Path) -> None:
    """Why rows were rejected, most frequent first, each with a row to look at."""
    files = f"{results}/*/*/*/*/*/results-*.parquet"
    found = ask(Path(":memory:"), _REASONS, [files])
    table = Table(
        title="Why rows were rejected", box=None, padding=(0, 2, 0, 0), header_style="bold", title_justify="left"
    )
    for name in ("error code", "rows", "for example, key", "what it says"):
        table.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for code, rows, key, message in found:
        table.add_row(code, f"{rows:,}", Text(key or "(empty)"), Text(message or ""))
    console.print(table if found else "No row was rejected.")


def show_places(console: Console, work: Path, last: Night) -> None:
    """Where to look further."""
    places = {
        "results of every row": f"{work}/results",
        "the last night's rejects": str(last.report.get("rejects_path", "-")).removeprefix("file://"),
        "the warehouse (DuckDB)": f"{work}/warehouse.duckdb",
        "Airflow's own log": f"{work}/logs/airflow.log",
    }
    for name, place in places.items():
        # Not wrapped, so that it can be copied.
        console.print(Text(f"{name:<26}{place}"), soft_wrap=True)


def ask_qualified(warehouse: Path, last: Night) -> list[tuple[str, str]]:
    """Ask the warehouse which leads the last night qualified."""
    rows: list[tuple[str, str]] = ask(warehouse, _qualified_sql(last))
    return rows


def show_qualified(console: Console, last: Night, rows: list[tuple[str, str]]) -> None:
    """Show how the warehouse was asked which leads the last night qualified, and its answer."""
    console.print("[bold]Which leads did the last night qualify?[/] The warehouse knows:")
    console.print(Syntax(_qualified_sql(last), "sql", background_color="default", word_wrap=True))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("key", "salesforce_id"):
        table.add_column(name, no_wrap=True)
    for row in rows[:3]:
        table.add_row(*row)
    console.print(table)
    console.print(f"[dim]... {len(rows):,} leads in all[/]")


def _qualified_sql(last: Night) -> str:
    # All nights of the demo are one afternoon; else it would be CURRENT_DATE.
    return _QUALIFIED.format(began=last.report["started_at"])
