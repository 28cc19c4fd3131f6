from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from demo.ui import free_port, ui_environment
from tests.integration.real_airflow import ROOT, RealAirflow
from tests.metadata import metadata_database
from tests.s3 import Lake

USERS = ("admin", "numbers", "outsider")


@dataclass(frozen=True)
class Server:
    """An API server with users, and nothing else of Airflow.

    :param url: its address.
    :param database: of Airflow.
    :param folder: for results.
    :param tokens: of the users.
    :param lake: a bucket, and the connection to it that the server knows.
    """

    url: str
    database: str
    folder: Path
    tokens: dict[str, str]
    lake: Lake

    def get(self, path: str, user: str | None = "admin", **parameters: object) -> requests.Response:
        """Ask one of the plugin's routes.

        :param user: ``None`` for nobody in particular.
        """
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        if "search" in parameters:
            headers["X-Lead-Syncs-Search"] = quote(str(parameters.pop("search")))
        return requests.get(f"{self.url}/sfleads{path}", headers=headers, params=parameters, timeout=60)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def server(postgres_url: str, s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real API server, on PostgreSQL, with users of different rights."""
    folder = tmp_path_factory.mktemp("server")
    lake = Lake(endpoint=s3_url, conn_id="the_lake", bucket="lake-of-the-server")
    lake.make()
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({user: f"{user}-password" for user in USERS}))
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    env = ui_environment(mine, free_port()) | {
        "AIRFLOW_CONN_THE_LAKE": lake.connection,
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__AUTH_MANAGER": "tests.ui.per_dag.PerDagAuthManager",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,numbers:viewer,outsider:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "PYTHONPATH": str(ROOT),
    }
    env |= metadata_database(postgres_url, env)
    airflow = RealAirflow(env, folder)
    try:
        airflow.start("api-server")
        airflow.wait_for(lambda: _answers(airflow.url), "the API server")
        database = env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        yield Server(airflow.url, database, folder, {user: _token(airflow.url, user) for user in USERS}, lake)
    finally:
        airflow.kill_all()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/api/v2/version", timeout=10).ok
    except requests.ConnectionError:
        return False


def _token(url: str, user: str) -> str:
    body = {"username": user, "password": f"{user}-password"}
    reply = requests.post(f"{url}/auth/token", json=body, timeout=30)
    assert reply.ok, reply.text
    return str(reply.json()["access_token"])
