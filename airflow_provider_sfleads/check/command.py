"""Check an org, show the findings as a table, and write down the answers: for the command, and for a task."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_provider_sfleads.check.contract import Contract, carry_out
from airflow_provider_sfleads.check.probe import CheckOptions, Finding, Org, State
from airflow_provider_sfleads.check.recording import recording_of, write_private
from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.reports.table import in_one_line

_MARKS = {State.HOLDS: ("ok", "green"), State.BROKEN: ("BROKEN", "bold red"), State.NOT_TRIED: ("-", "dim")}
#: Columns of a text that no terminal limits.
LOG_WIDTH = 120
# What a column of four lacks; a name that is longer breaks at its dot, lest it break anywhere.
_AROUND = 2


def _writable(json_path: str | None) -> Path | None:
    if json_path is None:
        return None
    path = Path(json_path)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ParameterError(
            f"The answers cannot be written to {json_path}: it has to be a file in a folder that is "
            "there and can be written to."
        )
    return path


def run(
    conn_id: str,
    options: CheckOptions,
    tell: Callable[[Contract], object],
    *,
    write: bool = False,
    json_path: str | None,
) -> Contract:
    """Check an org, show what was found, and only then write down its answers, which may fail.

    :raises ConnectionFieldError: where the connection cannot be used.
    :raises OSError: where the answers cannot be written.
    :raises ParameterError: likewise, before anything is asked.
    """
    path = _writable(json_path)
    client = SalesforceLeadsHook(conn_id).client
    try:
        contract = carry_out(Org(client, options), write=write)
        tell(contract)
        if path is not None:
            write_private(path, recording_of(contract))
    finally:
        client.close()
    return contract


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
