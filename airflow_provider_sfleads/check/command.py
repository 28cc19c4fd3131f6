"""Check an org: all questions in their order, the findings as a table, the answers as a file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from airflow_provider_sfleads.check import access, lookups
from airflow_provider_sfleads.check.probe import Assumption, CheckOptions, Finding, Org, State, findings_of
from airflow_provider_sfleads.check.recording import recording_of, write_private
from airflow_provider_sfleads.check.writing import DELETED, write_probes
from airflow_provider_sfleads.exceptions import LeadsLeftError, ParameterError, SalesforceLeadsError
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.reports.table import in_one_line

WRITE = Assumption(
    "write",
    "Trial leads may be made here",
    "a sandbox or a Developer Edition, with Create and Delete on Lead",
    "Give --write where trial leads do no harm, together with --external-id.",
)
_MARKS = {State.HOLDS: ("ok", "green"), State.BROKEN: ("BROKEN", "bold red"), State.NOT_TRIED: ("-", "dim")}
# Columns of a text that no terminal limits.
_LOG_WIDTH = 120
# What a column of four lacks; a name that is longer breaks at its dot, lest it break anywhere.
_AROUND = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a check came to.

    :param org: the org, with all its answers.
    :param findings: one for each assumption, in the order of the questions.
    """

    org: Org
    findings: tuple[Finding, ...]

    def named(self, state: State) -> list[str]:
        """Return names of the findings in a state."""
        return [finding.name for finding in self.findings if finding.state is state]

    @property
    def heading(self) -> str:
        """Say which org was asked, as whom, and where."""
        client, settings = self.org.client, self.org.client.settings
        if client.token_requests == 0 or access.TOKEN.name in self.named(State.BROKEN):
            return f"Connection {settings.conn_id}: {settings.host.url}, API version {settings.api_version}"
        edition = f" ({self.org.edition})" if self.org.edition else ""
        return (
            f"Org {client.org_id}{edition}, Run-As user {client.user_id}, {client.base_url}, "
            f"API version {settings.api_version}, connection {settings.conn_id}"
        )

    @property
    def closing(self) -> Sequence[str]:
        """Say how it ended, what it cost the org, and what was not tried and why."""
        held, broken, untried = (self.named(state) for state in (State.HOLDS, State.BROKEN, State.NOT_TRIED))
        ended = f"{len(held)} hold, {len(broken)} broken, {len(untried)} not tried."
        ended += f" Broken: {', '.join(broken)}." if broken else ""
        calls, tokens = self.org.client.api_calls, self.org.client.token_requests
        cost = f"It cost {calls} of the org's API calls and {tokens} token request{'' if tokens == 1 else 's'}."
        reasons: defaultdict[str, list[str]] = defaultdict(list)
        for each in self.findings:
            if each.state is State.NOT_TRIED:
                reasons[each.seen].append(each.name)
        why = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
        return ended, f"{cost} Not tried: {why}." if why else cost

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        client, broken = self.org.client, self.named(State.BROKEN)
        named = access.TOKEN.name not in broken
        return {
            "conn_id": self.org.conn_id,
            "host": client.base_url,
            "org_id": client.org_id if named else None,
            "user_id": client.user_id if named else None,
            "edition": self.org.edition or None,
            "api_version": client.settings.api_version,
            "holds": not broken,
            "findings": [asdict(finding) | {"state": finding.state.value} for finding in self.findings],
            "api_calls": client.api_calls,
            "token_requests": client.token_requests,
        }


def carry_out(org: Org, *, write: bool = False) -> Contract:
    """Ask everything.

    :param write: whether to try also what only a write shows; where the org is no sandbox, that is refused.
    """
    reading = (*access.PROBES, *lookups.probes(match_email=org.options.match_email))
    findings = list(findings_of(reading, org))
    if write:
        findings += _written(org, findings)
    findings += findings_of([access.LAST], org, findings)
    return Contract(org=org, findings=tuple(findings))


def _written(org: Org, known: Sequence[Finding]) -> list[Finding]:
    if not any(each.name == access.API.name and each.state is State.HOLDS for each in known):
        return [WRITE.blocked_by(access.API.name)]
    findings: list[Finding] = []
    try:
        with write_probes(org) as probes:
            findings.append(WRITE.judged("a sandbox, or a Developer Edition", holds=True))
            findings += findings_of(probes, org, known)
    except LeadsLeftError as error:
        findings.append(DELETED.judged(str(error), holds=False))
    except SalesforceLeadsError as error:
        findings.append(WRITE.judged(str(error), holds=False))
    return findings


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
    path = None if json_path is None else Path(json_path)
    if path is not None and (path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK)):
        raise ParameterError(
            f"The answers cannot be written to {json_path}: it has to be a file in a folder that is "
            "there and can be written to."
        )
    client = SalesforceLeadsHook(conn_id).client
    try:
        contract = carry_out(Org(client, options), write=write)
        tell(contract)
        if path is not None:
            write_private(path, recording_of(contract.org, contract.findings))
    finally:
        client.close()
    return contract


def _table_of(findings: Sequence[Finding], width: int) -> Table:
    """Return the table; what the server says is shown in one line, without its control characters, and whole."""
    table = Table(box=box.SIMPLE_HEAD, show_lines=False, pad_edge=False, expand=True)
    table.add_column("")
    for title, ratio in (("assumption", 5), ("expected", 4), ("seen", 5), ("what to do", 4)):
        table.add_column(title, overflow="fold", ratio=ratio)
    for finding in findings:
        mark, style = _MARKS[finding.state]
        plain = "dim" if finding.state is State.NOT_TRIED else ""
        is_short = len(finding.name) <= width // 4 - _AROUND
        name = finding.name if is_short else finding.name.replace(".", ".\n")
        what = Text.assemble((finding.assumption, plain), "\n", (name, "cyan"))
        cells = (Text(in_one_line(each), plain) for each in (finding.expected, finding.seen, finding.remedy))
        table.add_row(Text(mark, style), what, *cells)
    return table


def show(contract: Contract, console: Console) -> None:
    """Print heading, table and closing."""
    console.print(Text(in_one_line(contract.heading), style="bold"))
    console.print(_table_of(contract.findings, console.width))
    ended, cost = map(in_one_line, contract.closing)
    console.print(Text(ended, style="bold red" if contract.named(State.BROKEN) else "bold green"))
    console.print(Text(cost))


def as_text(contract: Contract, *, width: int = _LOG_WIDTH) -> str:
    """Return the same as plain text, for a log."""
    console = Console(width=width, color_system=None, force_terminal=False)
    with console.capture() as capture:
        show(contract, console)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
