"""The site, and what the code on its pages finds."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

import dev
from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings
from airflow_provider_sfleads.exports import SqlTable
from airflow_provider_sfleads.results.write_back import ready_table
from demo.nights import airflow_environment
from demo.options import parse
from demo.warehouse import fill, make_content
from tests.browser.conftest import browser
from tests.docs.pages import ROOT

__all__ = ["browser"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, *dev.docs_command(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@dataclass(frozen=True, kw_only=True)
class World:
    """What the pages' code finds: the demo's warehouse, an org with leads, an Airflow with the example Dags.

    :param env: the environment of a terminal in which all of it is found.
    """

    warehouse: Path
    emulator: EmulatorServer
    env: dict[str, str]


@pytest.fixture(scope="session")
def world(airflow_db: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:  # noqa: ARG001 - is copied
    """A world for all pages."""
    folder = tmp_path_factory.mktemp("docs")
    for name in ("airflow", "home"):
        (folder / name).mkdir()
    made, copy = Path(os.environ["AIRFLOW_HOME"], "airflow.db"), folder / "airflow" / "airflow.db"
    with closing(sqlite3.connect(made)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    content = make_content(parse(["--leads", "600", "--days", "3"]))
    warehouse = folder / "warehouse.duckdb"
    fill(warehouse, content)
    with EmulatorServer(EmulatorSettings()) as emulator:
        emulator.seed_leads(content.old_leads)
        env = airflow_environment(folder, emulator.url) | {
            "HOME": str(folder / "home"),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "COLUMNS": "160",
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AIRFLOW_CONN_WAREHOUSE", env["AIRFLOW_CONN_WAREHOUSE"])
            for operation in ("create", "update_stage"):
                ready_table(SqlTable("warehouse", "salesforce_leads"), operation, remembers=True)
        read = [sys.executable, "-m", "airflow", "dags", "reserialize"]
        subprocess.run(read, env=env, check=True, capture_output=True)
        yield World(warehouse=warehouse, emulator=emulator, env=env)
