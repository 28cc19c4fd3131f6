"""The command as it is called: what it prints, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

import airflow_provider_sfleads.check.command  # noqa: F401 - so that Airflow sets up its log before a test listens
from airflow_provider_sfleads.check.__main__ import main
from airflow_provider_sfleads.check.command import as_text, show
from tests.check.conftest import people
from tests.integration.copied import DAGS

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.check.conftest import Check

CONN = "salesforce_leads_default"
OPTIONS = ["--external-id", "External_Id__c", "--stage-field", "Lead_Stage__c", "--match-email", "--field", "Phone"]


@pytest.mark.usefixtures("salesforce_conn")
def test_an_org_that_is_fine_ends_with_0(emulator: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The first line says which org, user and host; the last what it cost and what was not tried."""
    emulator.seed_leads(people(3))
    assert main([CONN, *OPTIONS]) == 0

    told = capsys.readouterr()
    words = " ".join(told.out.split())
    org = "Org 00D5g0000000001EAA (Enterprise Edition, sandbox), Run-As user 0055g0000000001AAA"
    assert words.startswith(f"{org}, {emulator.url}, API version 60.0, connection {CONN} ")
    assert "32 hold, 0 broken, 0 not tried." in told.out
    assert told.out.splitlines()[-1].startswith("It cost 21 of the org's API calls and 1 token request.")
    assert told.err == ""


@pytest.mark.usefixtures("salesforce_conn")
def test_an_org_that_is_not_ends_with_1_and_writes_its_answers(
    emulator: EmulatorServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The line says what to do, and the end names it."""
    emulator.change_settings(denied=["ViewSetup"])
    path = tmp_path / "answers.json"
    assert main([CONN, *OPTIONS, "--json", str(path)]) == 1

    told = " ".join(capsys.readouterr().out.split())
    assert "BROKEN" in told
    assert "Broken: assignment_rule.read." in told
    found = json.loads(path.read_text())
    assert [each["name"] for each in found["findings"] if each["state"] == "broken"] == ["assignment_rule.read"]
    assert len(found["answers"]) > 20


def test_a_connection_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 2, and no traceback."""
    assert main(["nowhere"]) == 2
    assert capsys.readouterr().err == "There is no Airflow connection 'nowhere'; make one of type salesforce_leads.\n"


@pytest.mark.usefixtures("salesforce_conn")
def test_a_connection_that_cannot_be_used_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of its fields has a line."""
    fields = {"conn_type": "salesforce_leads", "host": "login.salesforce.com", "extra": {"timeout": "long"}}
    monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT", json.dumps(fields))
    assert main([CONN]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"Connection '{CONN}' cannot be used:"
    assert len(lines) > 3


@pytest.mark.usefixtures("salesforce_conn")
def test_a_file_that_cannot_be_is_refused_before_anything_is_asked(
    emulator: EmulatorServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Ten minutes later would be too late."""
    for path in (tmp_path, tmp_path / "no" / "folder.json"):
        assert main([CONN, "--json", str(path)]) == 2
        assert "cannot be written" in capsys.readouterr().err
    assert emulator.requests() == []


@pytest.mark.usefixtures("salesforce_conn")
def test_a_file_that_cannot_be_written_after_all_costs_no_line(
    emulator: EmulatorServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The table is there by then; the end says what went wrong."""
    emulator.seed_leads(people(3))
    assert main([CONN, *OPTIONS, "--json", str(tmp_path / "too long with a random ending".ljust(250, "!"))]) == 2

    told = capsys.readouterr()
    assert "0 broken" in told.out
    assert "too long" in told.err


def test_ctrl_c_while_airflow_is_imported_is_one_word(tmp_path: Path) -> None:
    """That takes longer than all else, and a traceback would tell nothing."""
    slow = tmp_path / "rich"
    slow.mkdir()
    # A shell that runs the tests in the background has its children ignore the signal.
    pressed = "signal.signal(signal.SIGINT, signal.default_int_handler)\nsignal.raise_signal(signal.SIGINT)"
    slow.joinpath("__init__.py").write_text(f"import signal\n{pressed}\n")
    command = [sys.executable, "-m", "airflow_provider_sfleads.check", CONN]
    ended = subprocess.run(
        command, env={"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (130, "Stopped.\n")


@pytest.mark.usefixtures("salesforce_conn")
def test_a_wrong_secret_is_a_line_of_the_table(emulator: EmulatorServer, capsys: pytest.CaptureFixture[str]) -> None:
    """And so 1: the command worked."""
    emulator.change_settings(client_secret="another")
    assert main([CONN, *OPTIONS]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "1 broken" in told
    assert "Broken: token." in told
    assert "Not tried: versions.offered, api, org" in told
    assert told.endswith("token.reused (no token).")


@pytest.mark.usefixtures("salesforce_conn")
def test_writing_into_production_is_refused_and_says_so(
    emulator: EmulatorServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest is checked all the same; no lead is made."""
    reply = {
        "done": True,
        "totalSize": 1,
        "records": [
            {
                "attributes": {"type": "Organization"},
                "Id": "00D5g0000000001EAA",
                "OrganizationType": "Unlimited Edition",
                "IsSandbox": False,
            }
        ],
    }
    headers = {"Sforce-Limit-Info": "api-usage=1/100"}
    emulator.add_fault("status", path="FROM.Organization", status=200, reply=reply, headers=headers)
    assert main([CONN, *OPTIONS, "--write"]) == 1

    told = " ".join(capsys.readouterr().out.split())
    assert "Broken: write." in told
    assert "no sandbox" in told
    assert emulator.leads(include_deleted=True) == []


@pytest.mark.usefixtures("salesforce_conn")
def test_writing_into_a_sandbox_leaves_nothing_and_tells_nobody(
    emulator: EmulatorServer,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """What others have is not touched, and is not in the answers."""
    ids = emulator.seed_leads(people(3))
    before = emulator.leads()
    path = tmp_path / "answers.json"
    caplog.set_level("INFO", "airflow_provider_sfleads.check")
    assert main([CONN, *OPTIONS, "--write", "--json", str(path)]) == 0

    assert "trial_leads." in capsys.readouterr().out
    assert "Up to 20 trial leads" in caplog.text
    assert emulator.leads() == before
    text = path.read_text()
    page = (DAGS.parent / "docs/contract-check.md").read_text(encoding="utf-8")
    assert [each["name"] for each in json.loads(text)["findings"] if f"`{each['name']}`" not in page] == []
    secret = [value for lead in people(3) for name, value in lead.items() if name in ("Email", "External_Id__c")]
    assert [each for each in (*ids, *secret, *emulator.tokens_issued()) if each in text] == []


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_table_fits_and_nothing_is_cut(check: Check, emulator: EmulatorServer, width: int) -> None:
    """Whatever is too wide is wrapped; every word of every finding is there."""
    emulator.change_settings(denied=["Contact.Read"], language="de")
    contract = check()
    text = as_text(contract, width=width)

    assert max(map(len, text.splitlines())) <= width
    assert "\u2026" not in text
    lines = text.splitlines()
    heading = next(line for line in lines if "what to do" in line)
    starts = [heading.index(title) for title in ("assumption", "expected", "seen", "what to do")]
    columns = [
        "".join("".join(line[a:b].split()) for line in lines) for a, b in zip(starts, [*starts[1:], None], strict=True)
    ]
    for finding in contract.findings:
        cells = (finding.assumption + finding.name, finding.expected, finding.seen, finding.remedy)
        assert [cell for cell, column in zip(cells, columns, strict=True) if "".join(cell.split()) not in column] == []


def test_what_the_server_says_cannot_move_the_cursor(check: Check, emulator: EmulatorServer) -> None:
    """Nor colour anything, nor be taken for rich's own markup."""
    said = "\x1b[2J[bold red]gone[/]\x07\u202e\n\rnext"
    reply = [{"errorCode": "REQUEST_RUNNING_TOO_LONG", "message": said}]
    emulator.add_fault("status", path="FROM.AssignmentRule", status=400, reply=reply)
    console = Console(width=100, force_terminal=True, color_system="truecolor")
    contract = check()
    with console.capture() as capture:
        show(contract, console)
    text = capture.get()

    assert "[2J" in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    assert "[bold" in text


@pytest.mark.usefixtures("airflow_db")
def test_as_a_command_it_prints_into_a_pipe(emulator: EmulatorServer, tmp_path: Path) -> None:
    """It wraps, colours nothing, and leaves the pipe to the table."""
    connection = {"conn_type": "salesforce_leads", "host": emulator.url, "login": "emulator-key"}
    environment = {
        "PATH": "/usr/bin:/bin",
        "AIRFLOW_HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
        "AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT": json.dumps(connection | {"password": "emulator-secret"}),
    }
    command = [sys.executable, "-m", "airflow_provider_sfleads.check", CONN, *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Org 00D")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
