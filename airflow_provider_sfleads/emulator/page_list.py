"""The page of all leads: search, count by stage, page by page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

from airflow_provider_sfleads.emulator.fields import fold
from airflow_provider_sfleads.emulator.html import chip, moment, page, text
from airflow_provider_sfleads.emulator.setup_data import SETUP_ROWS
from airflow_provider_sfleads.emulator.state import Emulator

PAGE_SIZE = 50
_NO_STAGE = "(none)"
_MATCH = (
    "NOT IsDeleted AND (:q = '' OR instr(fold(Name), :q) OR instr(fold(Company), :q) OR instr(fold(Email), :q) "
    'OR instr(fold(External_Id__c), :q) OR fold("Id") = :q) '
    "AND (:stage = '' OR COALESCE(Lead_Stage__c, :none) = :stage)"
)
OWNER_NAMES: dict[str, str] = {row["Id"]: row["Name"] for kind in ("User", "Group") for row in SETUP_ROWS[kind]}
_HEAD = (
    "<tr><th>Name</th><th>Company</th><th>E-mail</th><th>Stage</th><th class=num>Score</th><th>Status</th>"
    "<th>Owner</th><th>External id</th><th>Modified (UTC)</th></tr>"
)


def show(emulator: Emulator, query: Mapping[str, str]) -> str:
    """Return the page, as HTML."""
    search, stage = query.get("q", "").strip(), query.get("stage", "")
    raw = query.get("page", "1")
    number = max(1, int(raw)) if raw.isascii() and raw.isdigit() else 1
    named = {"q": fold(search), "stage": stage, "none": _NO_STAGE}
    with emulator.store.transaction():
        stages = emulator.store.read_named(
            "SELECT COALESCE(Lead_Stage__c, :none) AS stage, COUNT(*) AS n FROM Lead WHERE NOT IsDeleted "
            "GROUP BY 1 ORDER BY n DESC, 1 LIMIT 12",
            named,
        )
        total = emulator.store.read_named("SELECT COUNT(*) AS n FROM Lead WHERE NOT IsDeleted", {})[0]["n"]
        found = emulator.store.read_named(f"SELECT COUNT(*) AS n FROM Lead WHERE {_MATCH}", named)[0]["n"]  # noqa: S608
        number = min(number, max(1, -(-found // PAGE_SIZE)))
        rows = emulator.store.read_named(
            f'SELECT * FROM Lead WHERE {_MATCH} ORDER BY "Id" LIMIT :size OFFSET :start',  # noqa: S608 - constants
            {**named, "size": PAGE_SIZE, "start": (number - 1) * PAGE_SIZE},
        )
    counts = {row["stage"]: row["n"] for row in stages}
    pager = _pager(number, found, {"q": search, "stage": stage})
    return page("Leads", _bar(counts, total, search, stage) + _table([dict(row) for row in rows], total, pager))


def _bar(counts: Mapping[str, int], total: int, search: str, stage: str) -> str:
    chips = [_stage_link("All", total, {"q": search}, on=not stage)]
    chips += [_stage_link(name, n, {"q": search, "stage": name}, on=name == stage) for name, n in counts.items()]
    hidden = f'<input type="hidden" name="stage" value="{text(stage)}">' if stage else ""
    box = (
        f'<input type="search" name="q" value="{text(search) if search else ""}" '
        'placeholder="Name, company, e-mail, external id" aria-label="Search leads">'
    )
    return f'<div class="bar"><h1>Leads</h1>{"".join(chips)}<form>{hidden}{box}<button>Search</button></form></div>'


def _stage_link(name: str, count: int, target: Mapping[str, str], *, on: bool) -> str:
    return f'<a class="chip {"on" if on else ""}" href="{_link(target)}">{text(name)} <b>{count:,}</b></a>'


def _link(target: Mapping[str, str]) -> str:
    return "/?" + escape(urlencode({name: value for name, value in target.items() if value}))


def _table(rows: list[dict[str, Any]], total: int, pager: str) -> str:
    if not rows:
        hint = "No lead matches." if total else "No leads yet. A sync that points here will fill this page."
        return f'<div class="card empty">{hint}</div>'
    body = "".join(_row(row) for row in rows)
    table = f'<table class="list"><thead>{_HEAD}</thead><tbody>{body}</tbody></table>'
    return f'<div class="card"><div class="scroll">{table}</div>{pager}</div>'


def _row(row: Mapping[str, Any]) -> str:
    status = chip("Converted", "good") if row["IsConverted"] else text(row["Status"])
    title = escape(str(row["Name"]))
    cells = [
        f'<td title="{title}"><a href="/lead/{row["Id"]}">{text(row["Name"])}</a></td>',
        f'<td title="{escape(str(row["Company"]))}">{text(row["Company"])}</td>',
        f"<td>{text(row['Email'])}</td>",
        f"<td>{chip(row['Lead_Stage__c']) or text(None)}</td>",
        f'<td class="num">{text(row["Lead_Score__c"])}</td>',
        f"<td>{status}</td>",
        f"<td>{text(OWNER_NAMES.get(row['OwnerId'], row['OwnerId']))}</td>",
        f'<td class="id" title="{escape(str(row["External_Id__c"] or ""))}">{text(row["External_Id__c"])}</td>',
        f'<td class="time">{moment(row["LastModifiedDate"])}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _pager(number: int, found: int, target: Mapping[str, str]) -> str:
    first, last = (number - 1) * PAGE_SIZE + 1, min(found, number * PAGE_SIZE)
    links = []
    if number > 1:
        links.append(f'<a href="{_link({**target, "page": str(number - 1)})}">&larr; Previous</a>')
    if last < found:
        links.append(f'<a href="{_link({**target, "page": str(number + 1)})}">Next &rarr;</a>')
    shown = f"{first:,}&ndash;{last:,} of {found:,}"
    return f'<div class="pages"><span>{shown}</span><span class="next">{"".join(links)}</span></div>'
