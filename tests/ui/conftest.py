from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.s3 import Lake
from tests.ui import people
from tests.ui.guarded import have_runs
from tests.ui.servers import Server, at_free_port, environment, new_database, run_module, serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_SIMPLE_USERS = ("admin", "reader", "numbers", "outsider", "without_runs", "without_tasks")


@pytest.fixture(scope="session")
def server_lake(s3_url: str) -> Lake:
    """A bucket, and the connection to it that the server knows."""
    lake = Lake(endpoint=s3_url, conn_id="the_lake", bucket="lake-of-the-server")
    lake.make()
    return lake


@pytest.fixture(scope="session")
def server(postgres_url: str, server_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real API server, on PostgreSQL, with users of different rights under Airflow's simple auth manager."""
    folder = tmp_path_factory.mktemp("server")
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({user: people.password(user) for user in _SIMPLE_USERS}))
    roles = {user: "admin" if user == "admin" else "viewer" for user in _SIMPLE_USERS}
    more = {
        "AIRFLOW_CONN_THE_LAKE": server_lake.connection,
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.per_dag.PerDagAuthManager",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(":".join(pair) for pair in roles.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }
    env = environment(new_database(postgres_url), folder, more)
    run_module(env, "tests.ui.prepare")
    with serving(env, folder, _SIMPLE_USERS) as running:
        yield running


@pytest.fixture(scope="session")
def fab_environment(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], Path]:
    """An Airflow under FAB's auth manager, with roles, users and Dags, and without a program; and its folder."""
    pytest.importorskip(
        "airflow.providers.fab.auth_manager",
        reason="apache-airflow-providers-fab is not installed here; it is where the oldest supported Airflow is tested",
    )
    folder = tmp_path_factory.mktemp("fab")
    manager = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
    env = environment(new_database(postgres_url), folder, {"AIRFLOW__CORE__AUTH_MANAGER": manager})
    run_module(env, "tests.ui.prepare", "fab")
    return env, folder


@pytest.fixture(scope="session")
def fab_server(fab_environment: tuple[dict[str, str], Path]) -> Iterator[Server]:
    """A real API server under FAB's auth manager."""
    env, folder = fab_environment
    with serving(env, folder, people.USERS) as running:
        yield running


@pytest.fixture(scope="session")
def open_server(fab_environment: tuple[dict[str, str], Path], fab_server: Server) -> Iterator[Server]:
    """The same Airflow, which gives whoever has not logged in the role Public."""
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager

    if not hasattr(BaseAuthManager, "get_fastapi_middlewares"):
        pytest.skip("this Airflow asks everybody to sign in, whatever [fab] auth_role_public says; 3.3 does not")
    env, _ = fab_environment
    folder = fab_server.folder / "open"
    folder.mkdir()
    more = at_free_port(env) | {"AIRFLOW__FAB__AUTH_ROLE_PUBLIC": "Public"}
    with serving(more, folder, ("viewer",)) as running:
        yield replace(running, folder=fab_server.folder)


@pytest.fixture(
    scope="session", params=["simple", pytest.param("fab", marks=[pytest.mark.whole_way])], name="any_server"
)
def _any_server(request: pytest.FixtureRequest) -> Server:
    """A real API server under one auth manager, and under the other."""
    found: Server = request.getfixturevalue({"simple": "server", "fab": "fab_server"}[request.param])
    return found


@pytest.fixture(scope="module")
def any_runs(any_server: Server) -> None:
    """What there is to be seen, by those who may."""
    have_runs(any_server)


@pytest.fixture(scope="module")
def fab_runs(fab_server: Server) -> None:
    """Likewise, under FAB."""
    have_runs(fab_server)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
