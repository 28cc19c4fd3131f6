"""Findings as a table on a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_provider_sfleads.check.contract import Contract
from airflow_provider_sfleads.check.findings import Finding, State
from airflow_provider_sfleads.reports.table import in_one_line

_MARKS = {State.HOLDS: ("ok", "green"), State.BROKEN: ("BROKEN", "bold red"), State.NOT_TRIED: ("-", "dim")}
#: Columns of a text that no terminal limits.
LOG_WIDTH = 120
# What a column of four lacks; a name that is longer breaks at its dot, lest it break anywhere.
_AROUND = 2


def table_of(findings: Iterable[Finding], *, width: int = LOG_WIDTH) -> Table:
    """Return the table; what the server says is shown in one line, without its control characters, and whole.

    :param width: of the terminal.
    """
    table = Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False, expand=True)
    table.add_column("")
    for title, ratio in (("assumption", 5), ("expected", 4), ("seen", 5), ("what to do", 4)):
        table.add_column(title, overflow="fold", ratio=ratio)
    for finding in findings:
        mark, style = _MARKS[finding.state]
        plain = "dim" if finding.state is State.NOT_TRIED else ""
        name = in_one_line(finding.name)
        name = name if len(name) <= width // 4 - _AROUND else name.replace(".", ".\n")
        what = Text.assemble((in_one_line(finding.assumption), plain), "\n", (name, "cyan"))
        cells = (Text(in_one_line(each), plain) for each in (finding.expected, finding.seen, finding.remedy))
        table.add_row(Text(mark, style), what, *cells)
    return table


def closing_of(contract: Contract) -> Sequence[str]:
    """Return the last lines: how it ended, what it cost, and what was not tried."""
    held, broken, untried = (contract.named(state) for state in (State.HOLDS, State.BROKEN, State.NOT_TRIED))
    counts = f"{len(held)} hold, {len(broken)} broken, {len(untried)} not tried."
    lines = [f"{counts} Broken: {', '.join(broken)}." if broken else counts]
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for each in contract.findings:
        if each.state is State.NOT_TRIED:
            reasons[each.seen].append(each.name)
    why = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
    lines.append(f"{contract.cost}{f' Not tried: {why}.' if why else ''}")
    return [in_one_line(line) for line in lines]


def show(contract: Contract, console: Console) -> None:
    """Print heading, table and closing."""
    console.print(Text(in_one_line(contract.heading), style="bold"))
    console.print(table_of(contract.findings, width=console.width))
    first, *more = closing_of(contract)
    console.print(Text(first, style="bold red" if contract.named(State.BROKEN) else "bold green"))
    for line in more:
        console.print(Text(line))


def as_text(contract: Contract, *, width: int = LOG_WIDTH) -> str:
    """Return the same as plain text, for a log."""
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        show(contract, console)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
