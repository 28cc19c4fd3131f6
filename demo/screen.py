"""What the demo shows: a table that grows, and what it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.nights import Night
from demo.salesforce import RunningJob

_WIDE = 124
_COUNTS = {
    "read": "read",
    "created": "created",
    "updated": "updated",
    "unchanged": "un-\nchanged",
    "filtered": "fil-\ntered",
    "duplicate_keys": "dupl.\nkeys",
    "rejected": "re-\njected",
    "not_sent": "not\nsent",
    "api_calls": "API\ncalls",
}


def make_console(file: Any) -> Console:  # noqa: ANN401 - a text file
    """Return a console on a file; wide where it is no terminal, because nothing wraps a pipe."""
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=140)
    return console


class Prefilter:
    """The progress of the demo.

    :param jobs: the bulk jobs under way, asked for while the picture is drawn.
    """

    def __init__(self, console: Console, *, total: int) -> None:
        self.console = console
        self.jobs: Callable[[], Sequence[RunningJob]] = list
        self._nights: list[Night] = []
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("", total=total)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Redraw table and progress while the block lasts; afterwards the table stands."""
        if not self.console.is_terminal:
            yield
            self.console.print(self._tables())
            return
        # What Airflow prints goes elsewhere, and is not to be caught and shown above the table.
        live = Live(
            get_renderable=self._picture,
            console=self.console,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            yield
            self._progress.stop()
            self._progress.disable = True

    def step(self, what: str) -> None:
        """Say what is being done."""
        self._progress.update(self._task, description=what)
        if not self.console.is_terminal:
            self.console.print(f"[dim]...[/] {what}")

    def done(self) -> None:
        """Count a step."""
        self._progress.advance(self._task)

    def add(self, night: Night) -> None:
        """Add a run to the table."""
        self._nights.append(night)
        self.done()

    def _picture(self) -> RenderableType:
        finished = self._progress.finished or self._progress.disable
        return self._tables() if finished else Group(self._tables(), self._progress, *self._bars())

    def _bars(self) -> list[RenderableType]:
        """Return one bar for each bulk job under way."""
        columns = (TextColumn("  Bulk API 2.0 job {task.description}"), BarColumn(), MofNCompleteColumn())
        bars: list[RenderableType] = []
        for job in self.jobs():
            bar = Progress(*columns, console=self.console)
            bar.add_task(f"{job.id} ({job.operation})", total=job.rows, completed=job.processed)
            bars.append(bar)
        return bars

    def _tables(self) -> RenderableType:
        if not self._nights:
            return Group()
        if self.console.width >= _WIDE:
            return _table(self._nights, reported=True, held=True)
        return Group(_table(self._nights, reported=True), _table(self._nights, held=True))


def _table(nights: Sequence[Night], *, reported: bool = False, held: bool = False) -> Table:
    title = " and ".join(["What the task reported"] * reported + ["what the emulator holds"] * held)
    table = Table(
        title=title[0].upper() + title[1:], box=None, padding=(0, 1, 0, 0), header_style="bold", title_justify="left"
    )
    for name in ("day", "Dag"):
        table.add_column(name, no_wrap=True)
    for name in [*_COUNTS.values(), "sec."] if reported else []:
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("leads in\nthe emulator", "of them\nat MQL", "they\nagree") if held else ():
        table.add_column(name, justify="right", no_wrap=True)
    for at, night in enumerate(nights):
        row = [_day(night, nights[at - 1] if at else None), night.job.title]
        row += _counts(night) if reported else []
        row += _holdings(night) if held else []
        table.add_row(*row)
    return table


def _day(night: Night, before: Night | None) -> str:
    if before is not None and (before.day, before.again) == (night.day, night.again):
        return ""
    return "again" if night.again else f"{night.day:%m-%d}"


def _counts(night: Night) -> list[str]:
    marks = {"created": "green", "updated": "green", "rejected": "yellow", "not_sent": "red"}
    cells: list[str] = []
    for name in _COUNTS:
        value = night.report.get(name)
        style = marks.get(name) if value else "dim" if value == 0 else None
        text = "-" if value is None else f"{value:,}"
        cells.append(f"[{style}]{text}[/]" if style else text)
    return [*cells, f"{night.seconds:.1f}"]


def _holdings(night: Night) -> list[str]:
    mark = "[red]NO[/]" if night.problems else "[green]yes[/]"
    return [
        _change(night.before.leads, night.after.leads),
        _change(night.before.at_mql, night.after.at_mql),
        mark,
    ]


def _change(before: int, after: int) -> str:
    grown = after - before
    return f"{after:,} [{'green' if grown else 'dim'}]{grown:+,}[/]"


def show_problems(console: Console, problems: Sequence[str], *, runs: int) -> None:
    """Say whether everything agrees, and what does not."""
    if problems:
        console.print(Panel("\n".join(problems), title="Report and emulator do not agree", border_style="red"))
    else:
        console.print(f"[green]Report and emulator agree in all {runs} runs.[/]")
