"""The example Dags by a command, for those who have the wheel and nothing else."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from airflow_provider_sfleads.examples.__main__ import main
from tests.packaging.conftest import ROOT

DAGS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "dags").glob("*.py")}
ONE = "salesforce_create_leads"


def files_in(folder: Path) -> dict[str, str]:
    """Return what files a folder holds, hidden ones as well."""
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_airflow_reads_what_the_wheel_brought(clean_python: Path, clean_env: dict[str, str], tmp_path: Path) -> None:
    """The command copies them out of an installed wheel, and each imports there without an error."""
    folder = tmp_path / "dags"
    subprocess.run(
        [clean_python, "-m", "airflow_provider_sfleads.examples", folder], check=True, cwd=tmp_path, env=clean_env
    )
    assert files_in(folder) == DAGS

    code = (
        "import json; from airflow.dag_processing.dagbag import DagBag; import airflow_provider_sfleads as package;"
        f"bag = DagBag(dag_folder={str(folder)!r});"
        "print(json.dumps([package.__file__, list(bag.dags), bag.import_errors]))"
    )
    done = subprocess.run(
        [clean_python, "-c", code], check=True, cwd=tmp_path, env=clean_env, stdout=subprocess.PIPE, text=True
    )
    place, dags, errors = json.loads(done.stdout.splitlines()[-1])
    assert Path(place).is_relative_to(clean_python.parents[1])
    assert (errors, {f"{name}.py" for name in dags} >= set(DAGS)) == ({}, True)


def test_it_lists_them_and_says_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    """Each connection, table, field and Variable that a Dag names is named there."""
    from airflow.dag_processing.dagbag import DagBag

    assert main([]) == 0
    said = capsys.readouterr().out
    named = {"signups", "lead_scores", "salesforce_results"}
    assert {name for name in named if any(name in source for source in DAGS.values())} == named
    for dag in DagBag(dag_folder=str(ROOT / "dags")).dags.values():
        for task in dag.tasks:
            values = vars(task)
            told = ("salesforce_conn_id", "conn_id", "external_id_field", "stage_field")
            named |= {str(values[name]) for name in told if name in values}
            named |= {values["export"].conn_id, values["write_back"].table} if "export" in values else set()
    assert {"warehouse", "salesforce_leads_default", "Lead_Stage__c", "External_Id__c"} <= named
    assert {name for name in named if name not in said} == set()
    assert {name for name in DAGS if name.removesuffix(".py") not in said} == set()


def test_it_prints_one(capsys: pytest.CaptureFixture[str]) -> None:
    """To read it first, or to pipe it into a file."""
    assert main(["--print", "--dag", ONE]) == 0
    assert capsys.readouterr().out == DAGS[f"{ONE}.py"]


def test_what_somebody_changed_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all is written then, until it is asked for in so many words."""
    mine = tmp_path / f"{ONE}.py"
    mine.write_text("mine")

    assert main([str(tmp_path)]) == 2
    assert files_in(tmp_path) == {mine.name: "mine"}
    assert str(mine) in capsys.readouterr().err

    assert main([str(tmp_path), "--overwrite"]) == 0
    assert files_in(tmp_path) == DAGS


def test_a_second_time_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files that are the same are left as they are."""
    assert main([str(tmp_path), "--dag", ONE]) == 0
    before = (tmp_path / f"{ONE}.py").stat()
    assert main([str(tmp_path), "--dag", f"{ONE}.py"]) == 0
    assert (tmp_path / f"{ONE}.py").stat() == before
    assert "there already" in capsys.readouterr().out


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    """It may lead anywhere once its target is there."""
    (tmp_path / f"{ONE}.py").symlink_to(tmp_path / "elsewhere.py")
    assert main([str(tmp_path), "--dag", ONE]) == 2
    assert not (tmp_path / "elsewhere.py").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dag", "no_such"], f"no_such, but salesforce_contract_check, salesforce_create_and_qualify, {ONE}"),
        (["{tmp}/file"], "is a file"),
        (["{tmp}/no/such"], "there is no folder"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    """In a line, without a traceback, and nothing is written."""
    (tmp_path / "file").touch()
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == 2
    assert says in capsys.readouterr().err
    assert files_in(tmp_path) == {"file": ""}
