"""Inputs from public reports of people who load leads into Salesforce: each gives what is right, through both APIs.

A folder a case: its input files and a ``case.json`` that says where it comes from, what is run, and what comes out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_sfleads.emulator import EmulatorServer
from airflow_provider_sfleads.exports import FileExport, SqlExport
from tests.integration.support import Record, Task, by_external_id, creating, moving

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/case.json"))
OPERATORS = {"create": creating, "move": moving}


def case_of(name: str) -> Record:
    """What stands in a case."""
    found: Record = json.loads((HERE / name / "case.json").read_text(encoding="utf-8"))
    return found


def export_of(name: str, said: Record, request: pytest.FixtureRequest) -> Any:  # noqa: ANN401 - one of two
    """The export of a case."""
    if "database" not in said:
        (path,) = said.values()
        return FileExport(str(HERE / name / path))
    at = urlsplit(request.getfixturevalue("postgres_url"))
    connection = {"conn_type": "postgres", "host": at.hostname, "port": at.port, "login": at.username}
    request.getfixturevalue("monkeypatch").setenv(
        "AIRFLOW_CONN_CASES", json.dumps({**connection, "schema": at.path.strip("/")})
    )
    return SqlExport("cases", said["sql"], **said.get("kw", {}))


def wrong(lead: Record | None, wanted: Record | None) -> bool:
    """Whether a lead is not as a case wants it."""
    if lead is None or wanted is None:
        return lead is not wanted
    return any(lead[name] != value for name, value in wanted.items())


@pytest.mark.usefixtures("salesforce_conn")
@pytest.mark.parametrize("api", ["collections", "bulk"])
@pytest.mark.parametrize("name", CASES)
def test_a_real_input_gives_what_is_right(
    name: str, api: str, emulator: EmulatorServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The counts of the last run, the leads that stand then, and the words of the error."""
    case = case_of(name)
    wanted = case["expect"]
    emulator.change_settings(**case.get("org", {}))
    emulator.seed_leads(case.get("seed", []))
    nights = []
    for number in range(case.get("runs", 1)):
        export = export_of(name, case["export"], request)
        operator = OPERATORS[case["operator"]](export, tmp_path / "results", api=api, **case["params"])
        nights.append(Task(run_id=f"night_{number}").run(operator))

    ran = nights[-1]
    said = str(ran.error or "")
    assert re.search(wanted["error"], said) if "error" in wanted else not said, said
    if "counts" in wanted:
        assert ran.counts == {count: n for count, n in wanted["counts"].items() if n and count != "read"}, said
        assert ran.full["read"] == wanted["counts"]["read"]
    leads = by_external_id(emulator)
    assert {key: leads.get(key) for key, lead in wanted.get("leads", {}).items() if wrong(leads.get(key), lead)} == {}
