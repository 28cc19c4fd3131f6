"""The page of one lead: all fields, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_sfleads.emulator import sales
from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.html import chip, moment, page, text
from airflow_provider_sfleads.emulator.page_list import OWNER_NAMES
from airflow_provider_sfleads.emulator.state import Emulator

_HEAD = "<tr><th>When (UTC)</th><th>Field</th><th>Change</th><th>By</th><th class=num>Request</th></tr>"


def show(emulator: Emulator, lead_id: str) -> str:
    """Return the page, as HTML; ApiError where there is no such lead."""
    lead = sales.get_lead(emulator, lead_id)
    steps = sales.history(emulator, lead["Id"])
    specs = list(emulator.full_schema.fields.values())
    labels = {spec.name: spec.shown for spec in specs}
    filled = "".join(_fact(spec, lead[spec.name]) for spec in specs if _has_value(lead[spec.name]))
    empty = "".join(_fact(spec, lead[spec.name]) for spec in specs if not _has_value(lead[spec.name]))
    history = "".join(_step(step, labels) for step in reversed(steps) if _tells(step))
    content = f"""{_title(lead)}
<div class="two">
<section class="card"><h2>Fields</h2><table class="facts"><tbody>{filled}</tbody></table>
<details><summary>Empty fields</summary><table class="facts"><tbody>{empty}</tbody></table></details></section>
<section class="card"><h2>History</h2><div class="scroll"><table><thead>{_HEAD}</thead>
<tbody>{history}</tbody></table></div></section>
</div>"""
    return page(lead["Name"], content)


def _has_value(value: object) -> bool:
    return value is not None and value is not False


def _tells(step: Mapping[str, Any]) -> bool:
    """Return a flag that a new lead has not set is no event."""
    return not (step["old"] is None and step["new"] is False)


def _title(lead: Mapping[str, Any]) -> str:
    chips = [
        chip(lead.get("Lead_Stage__c"), "good"),
        chip("Converted", "warn") if lead["IsConverted"] else "",
        chip("In the recycle bin", "bad") if lead["IsDeleted"] else "",
    ]
    company = f'<span class="none">{text(lead["Company"])}</span>'
    return f'<div class="bar"><h1>{text(lead["Name"])}</h1>{company}{"".join(chips)}</div>'


def _shown(kind: str, value: object) -> str:
    if isinstance(value, dict):
        return text(", ".join(str(part) for part in value.values() if part is not None))
    if isinstance(value, str) and value in OWNER_NAMES:
        return f"{text(OWNER_NAMES[value])} <small>{text(value)}</small>"
    if kind == "datetime" and isinstance(value, str):
        return moment(value)
    return text(value)


def _fact(spec: FieldSpec, value: object) -> str:
    label = f"{text(spec.shown)}<br><small>{text(spec.name)}</small>" if spec.custom else text(spec.shown)
    return f'<tr><th>{label}</th><td class="pre">{_shown(spec.type, value)}</td></tr>'


def _step(step: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    old = f'<span class="old">{_shown("", step["old"])}</span> &rarr; ' if step["old"] is not None else ""
    request = step["request"] or None
    return (
        f'<tr><td class="time">{moment(step["at"])}</td><td>{text(labels.get(step["field"], step["field"]))}</td>'
        f'<td class="pre">{old}{_shown("", step["new"])}</td>'
        f"<td class=by>{text(OWNER_NAMES.get(step['actor'], step['actor']))}</td>"
        f'<td class="num">{text(request)}</td></tr>'
    )
