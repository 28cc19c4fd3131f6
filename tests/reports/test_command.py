"""The command as it is called: its output, and how it ends."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sfleads.reports.__main__ import main
from tests.reports.support import leave

DOCUMENTED = """
python -m airflow_provider_sfleads.reports s3://lake/salesforce-results
  --dag salesforce_nightly_mql_sync --from 2026-11-23 --to 2026-11-30
"""
HEADER = "interval run mode read created updated changed tered keys jected sent calls sec."


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line a run, dry ones marked and summed apart, and why rows were rejected."""
    leave(str(tmp_path), 0, created=4_095, updated=0)
    leave(str(tmp_path), 1, created=10, updated=0, reject_reasons={"NOT_FOUND": 5}, rejected=5)
    leave(str(tmp_path), 2, created=0, updated=0, would_create=7, dry_run=True, reject_reasons={"DIRT": 1}, rejected=1)
    assert main([str(tmp_path)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "leads.create"
    assert lines[3].split() == HEADER.split()
    first = "2026-11-10 backfill__2026-11-10T00:00:00+00:00 live 5,714 4,095 0 1,356 3,585 0 71 0 7 1.5"
    assert lines[4].split() == first.split()
    assert lines[6].startswith("2026-11-12 backfill__2026-11-12T00:00:00+00:00 dry   5,714     (7)     (0)")
    words = [line.split() for line in lines]
    assert words[8][:8] == ["2", "in", "all", "live", "11,428", "4,105", "0", "2,712"]
    assert words[9][:7] == ["1", "in", "all", "dry", "5,714", "(7)", "(0)"]
    assert lines[13:] == [
        "Why rows were rejected:",
        "          45  NOT_FOUND",
        "          31  STRING_TOO_LONG",
        "",
        "Why rows were rejected in dry runs:",
        "           1  DIRT",
        "",
    ]


def test_each_task_has_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sums over different tasks mean nothing; mapped ones are told apart by their index."""
    leave(str(tmp_path), 0, task_id="move")
    leave(str(tmp_path), 0, dag_id="again", map_index=0)
    leave(str(tmp_path), 0, dag_id="again", map_index=1, interval_start="2026-11-10T06:00:00+00:00")
    main([str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()

    assert [line for line in lines if line.startswith(("again.", "leads."))] == ["again.create", "leads.move"]
    assert lines[4].startswith("2026-11-10                     backfill__2026-11-10T00:00:00+00:00 [0] live")
    assert lines[5].startswith("2026-11-10 06:00 - 11-11 00:00 backfill__2026-11-10T00:00:00+00:00 [1] live")


def test_options_choose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Dag, a task, a stretch of time; all executions of a task."""
    for day in range(4):
        leave(str(tmp_path), day, created=day)
        leave(str(tmp_path), day, dag_id="other")
    leave(str(tmp_path), 2, second=9, created=20)
    options = [
        "--dag",
        "leads",
        "--task",
        "create",
        "--from",
        "2026-11-11",
        "--to",
        "2026-11-13T00:00:00+00:00",
        "--json",
    ]
    assert main([str(tmp_path), *options]) == 0
    chosen = json.loads(capsys.readouterr().out)
    assert [(each["created"], each["again"]) for each in chosen["reports"]] == [(1, ""), (22, "cleared once")]
    assert (chosen["live"]["syncs"], chosen["live"]["created"], chosen["dry_run"]["syncs"]) == (2, 23, 0)

    main([str(tmp_path), *options, "--all"])
    alone = json.loads(capsys.readouterr().out)
    assert [(each["created"], each["again"]) for each in alone["reports"]] == [(1, ""), (2, ""), (20, "")]
    assert (alone["live"]["syncs"], alone["live"]["created"]) == (3, 23)

    with pytest.raises(SystemExit):
        main([str(tmp_path), "--from", "1740787200000"])
    assert "'1740787200000' is no date" in capsys.readouterr().err


def test_a_green_night_that_was_cleared_keeps_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was created adds up, and the table says why; how the rows stand, the newest execution says."""
    leave(str(tmp_path), 0, read=4_171, created=4_095, updated=0, unchanged=0, filtered=0, rejected=76, api_calls=9)
    cleared: dict[str, Any] = {
        "read": 4_171,
        "created": 40,
        "updated": 2,
        "unchanged": 4_095,
        "filtered": 0,
        "rejected": 34,
    }
    leave(str(tmp_path), 0, second=1, **cleared, api_calls=8)
    leave(str(tmp_path), 0, second=2, **cleared | {"created": 0, "updated": 0}, would_create=7, dry_run=True)
    assert main([str(tmp_path)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]

    assert lines[4][2:11] == ["live,", "cleared", "once", "4,171", "4,135", "2", "4,095", "0", "0"]
    assert lines[4][11:14] == ["34", "0", "17"]
    assert lines[5][2:6] == ["dry", "4,171", "(7)", "(0)"]
    assert lines[7][:6] == ["1", "in", "all", "live", "4,171", "4,135"]
    said = " ".join(" ".join(line) for line in lines)
    assert "cleared, tried again: created, updated and API calls are summed over the executions" in said


def test_json_holds_the_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With where each comes from, and what could not be read."""
    leave(str(tmp_path), 0, map_index=4)
    half = leave(str(tmp_path), 1, content="{")
    assert main([str(tmp_path), "--json"]) == 1

    told = json.loads(capsys.readouterr().out)
    (report,) = told["reports"]
    assert (report["dag_id"], report["task_id"], report["map_index"], report["read"]) == ("leads", "create", 4, 5_714)
    assert report["execution"] == "20261124T020000.000000Z"
    assert [each["path"] for each in told["problems"]] == [f"{half}/report.json"]


def test_what_is_not_shown_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside the table, and by the exit code."""
    leave(str(tmp_path), 0)
    half = leave(str(tmp_path), 1, content="{")
    assert main([str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "1 in all" in said.out
    assert f"{half}/report.json: the file is no JSON, or only half written" in said.err


def test_a_dag_that_is_asked_for_by_a_link_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may lead to results that are no business of this ``results_path``."""
    leave(str(tmp_path / "elsewhere"), 0, created=5)
    leave(str(tmp_path / "results"), 0, dag_id="own")
    (tmp_path / "results" / "linked").symlink_to(tmp_path / "elsewhere" / "leads")
    assert main([str(tmp_path / "results"), "--dag", "linked"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "A link leads to the results in" in err
    assert main([str(tmp_path / "results")]) == 0
    assert "linked" not in capsys.readouterr().out


def test_what_others_wrote_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names of folders and codes are whatever somebody who may write to the storage has made up."""
    leave(str(tmp_path), 0, dag_id="a\x1b[2J", reject_reasons={"\x1b]0;t\x07\nB": 3}, rejected=3)
    leave(str(tmp_path), 0, task_id="b\n1 in all  live 9,999", content="{")
    assert main([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "a?[2J.create" in out
    assert "3  ?]0;t??B" in out
    assert "b?1 in all  live 9,999" in err
    assert all(sign.isprintable() for sign in (out + err).replace("\n", ""))


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00", "9999-12-31T23:00:00-14:00"])
def test_an_interval_at_the_end_of_time_hides_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], start: str
) -> None:
    """In UTC there is no such moment; the other reports are shown all the same."""
    leave(str(tmp_path), 0, interval_start=start, interval_end=start)
    leave(str(tmp_path), 1)
    assert main([str(tmp_path)]) == 0
    assert "2 in all" in capsys.readouterr().out


def test_a_number_that_none_can_be_is_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sums of such could not even be written down, and would take the page with them."""
    leave(str(tmp_path), 0, created=int("9" * 4300))
    leave(str(tmp_path), 1, reject_reasons={"A": 10**15})
    leave(str(tmp_path), 2, created=10**15 - 1)
    assert main([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "1 in all" in out
    assert "created is no int" in err
    assert "reject_reasons is no" in err


def test_the_documented_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The days from the first to the last one, of one Dag."""
    dag_id = "salesforce_nightly_mql_sync"
    for day in (13, 19, 21):
        leave(str(tmp_path), day, dag_id=dag_id)
    leave(str(tmp_path), 0)
    words = shlex.split(DOCUMENTED)
    assert main([str(tmp_path), *words[4:]]) == 0
    out = capsys.readouterr().out
    assert "2 in all" in out
    assert [line for line in out.splitlines() if line.endswith(".create")] == [f"{dag_id}.create"]


def test_nothing_to_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder is no error of the path, and no success either."""
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == "There are no reports.\n"
    assert main([f"{tmp_path}/nowhere"]) == 2
    assert "there is nothing" in capsys.readouterr().err


def test_the_module_runs(tmp_path: Path) -> None:
    """As docs/how-to/reports.md has it; a pipe gets every column, however narrow the terminal says it is."""
    leave(str(tmp_path), 0)
    command = [sys.executable, "-m", "airflow_provider_sfleads.reports", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert max(map(len, done.stdout.splitlines())) > 110
    assert "Traceback" not in done.stderr
