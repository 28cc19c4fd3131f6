"""What the pages show runs: a block as it is, or by the test that the comment above it names."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pendulum
import pytest

from airflow_provider_sfleads.exports import SqlExport
from airflow_provider_sfleads.operators.base import LeadSyncOperator
from tests.docs.conftest import World
from tests.docs.pages import DOCS, PAGES, ROOT, Block, blocks_in, blocks_of

RUN, PARSED, SHOWN = {"python", "shell", "sql"}, {"ini", "json"}, {"text"}
COMMAND = re.compile(
    r"\s*(\$ |(sudo|python3?|pip|airflow|git|curl|export|source|openssl|sf|docker|uv|psql|duckdb|cat|cd) +[\w./~<\"'$-]"
    r"|(SELECT|INSERT|UPDATE|DELETE|CREATE|WITH) .*|(import|from) \w+|with DAG)"
)
# What a reader has of their own, and what stands for it here.
EMULATOR = "http://127.0.0.1:8990"
ORG = "acme.my.salesforce.com"
CREDENTIALS = {"consumer-key": "emulator-key", "consumer-secret": "emulator-secret"}
_OPTIONAL = ("score", "lead_id", "current_stage")


def with_blocks(language: str) -> list[Any]:
    """The pages that have blocks which run as they are."""
    found = dict.fromkeys(block.page for block in blocks_in(language) if block.test is None)
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in found]


def of_page(page: Path, language: str) -> list[Block]:
    """The blocks of a page which run as they are."""
    return [block for block in blocks_of(page) if block.language == language and block.test is None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_block_says_what_it_is(page: Path) -> None:
    """Code that no test would run cannot hide behind a language that is not known, or behind none."""
    unknown = {str(b): b.language for b in blocks_of(page) if b.language not in RUN | PARSED | SHOWN}
    assert not unknown, f"a fence with one of {sorted(RUN | PARSED | SHOWN)} is wanted"


@pytest.mark.parametrize("block", blocks_in(*SHOWN), ids=str)
def test_no_command_is_shown_as_text(block: Block) -> None:
    """A text is what something prints."""
    hidden = [line for line in block.text.splitlines() if COMMAND.match(line)]
    assert not hidden


def test_commands_are_known_when_they_are_seen() -> None:
    """The test above could fail."""
    commands = ("pip install dist/*.whl", "  $ ls", "SELECT 1", "from airflow.sdk import DAG", "export A=1")
    assert all(map(COMMAND.match, commands))
    assert not COMMAND.match("read 4: created 3, rejected 1")


# What publishes cannot be tried.
RECIPE = DOCS / "release.md"
ELSEWHERE = [block for block in blocks_in(*RUN) if block.test is not None]
SKIPPED = [block for block in ELSEWHERE if re.match(r"skip, \w", block.test or "") and block.page == RECIPE]


@pytest.mark.parametrize("block", [block for block in ELSEWHERE if block not in SKIPPED], ids=str)
def test_another_test_runs_what_cannot_run_by_itself(block: Block) -> None:
    """The test that a comment names is there and has each line of the block, but for what only prepares a shell."""
    assert block.test is not None
    path = ROOT / block.test
    assert path.is_file(), f"there is no {block.test}"
    assert path.name.startswith("test_")
    held = " ".join(path.read_text(encoding="utf-8").split())
    lines = block.text.replace("\\\n", " ").splitlines()
    commands = [" ".join(line.split()) for line in lines if not re.match(r"\s*(#|cd |source |export |$)", line)]
    assert commands
    missing = [command for command in commands if command not in held]
    assert not missing, f"{block.test} does not run this any more, or does not say so in the page's words"


@pytest.mark.parametrize("block", blocks_in(*PARSED), ids=str)
def test_settings_can_be_read(block: Block) -> None:
    """JSON and ini files are such."""
    if block.language == "json":
        json.loads(block.text)
    else:
        configparser.ConfigParser(interpolation=None).read_string(block.text)


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_runs(page: Path, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of a page, from its top to its end, is a Dag file; its Dags' queries have the columns they need."""
    from airflow.dag_processing.dagbag import DagBag

    for name in ("SALESFORCE_LEADS_DEFAULT", "WAREHOUSE"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", world.env[f"AIRFLOW_CONN_{name}"])
    file = tmp_path / f"{page.stem.replace('-', '_')}_page.py"
    file.write_text("\n".join(f"# {block}\n{block.text}" for block in of_page(page, "python")), encoding="utf-8")
    bag = DagBag(dag_folder=str(file), safe_mode=False)
    assert not bag.import_errors, "\n".join(bag.import_errors.values())
    for task in syncs_of(bag):
        with task.export.open() as stream:
            lacking = columns_of(task) - set(stream.columns)
            next(iter(stream.rows), None)
        assert not lacking, f"{task.task_id}: the query has no {lacking}"


def syncs_of(bag: Any) -> Iterator[Any]:  # noqa: ANN401 - Airflow's class moves between its versions
    """The tasks of Dags that read the demo's warehouse, as they are when a run begins."""
    day = pendulum.datetime(2026, 11, 17, tz="UTC")
    for dag in bag.dags.values():
        for task in dag.tasks:
            export = vars(task).get("export")
            if not (isinstance(task, LeadSyncOperator) and isinstance(export, SqlExport)):
                continue
            if export.conn_id == "warehouse":
                context: Any = {"ds": "2026-11-17", "data_interval_start": day, "data_interval_end": day.add(days=1)}
                context["params"] = dag.params.dump()
                task.render_template_fields(context)
                yield task


def columns_of(task: LeadSyncOperator) -> set[str]:
    """The columns that a task takes from its export."""
    named = [task.key, *(task.fields or {}), *(getattr(task, name, None) for name in _OPTIONAL)]
    return {name for name in named if name}


@pytest.mark.parametrize("page", with_blocks("sql"))
def test_sql_runs(page: Path, world: World, tmp_path: Path) -> None:
    """The SQL of a page runs on the demo's tables and that of `write_back`."""
    import duckdb

    copy = shutil.copy(world.warehouse, tmp_path)
    with duckdb.connect(str(copy)) as connection:
        for block in of_page(page, "sql"):
            connection.execute(block.text)


# The tutorial starts Airflow ten times.
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", with_blocks("shell"))
def test_commands_run(page: Path, world: World, tmp_path: Path) -> None:
    """The commands of a page run in one shell, one after the other, and end as the page says."""
    script = "set -euo pipefail\n" + "\n".join(map(step, of_page(page, "shell")))
    port = world.emulator.url
    for theirs, ours in {EMULATOR: port, ORG: port, **CREDENTIALS}.items():
        script = script.replace(theirs, ours)
    ended = subprocess.run(
        ["/bin/bash", "-c", script], cwd=tmp_path, env=world.env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def step(block: Block) -> str:
    """A block of a page as a part of its script, which says where it has come to."""
    begun = f"echo '>>> {block}' >&2\n"
    if not block.exit_code:
        return begun + block.text
    return f"{begun}set +e\n{block.text}\nended=$?\nset -e\ntest $ended = {block.exit_code}"
