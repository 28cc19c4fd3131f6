"""An Airflow in which nothing is set up yet, a company beside it, and somebody with a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_provider_sfleads.emulator import EmulatorServer
from tests.browser.company import open_company
from tests.browser.visitor import PASSWORD, Visitor
from tests.integration.real_airflow import ROOT, RealAirflow, real_airflow

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.integration.weeks import Company

ARTIFACTS = ROOT / "test-artifacts/browser"
ADMIN = "ada"


@pytest.fixture(scope="module")
def company(postgres_url: str) -> Iterator[Company]:
    """A warehouse and an org."""
    with EmulatorServer() as org:
        yield open_company(postgres_url, org)


@pytest.fixture(scope="module")
def airflow(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    """A real Airflow with the Dags of ``dags/``, paused, without a connection, and with an admin who has to log in."""
    folder = tmp_path_factory.mktemp("airflow")
    shutil.copytree(ROOT / "tests/chaos/airflow_config", folder / "home/config")
    dags = shutil.copytree(ROOT / "dags", folder / "dags")
    shutil.copytree(ROOT / "tests/browser/airflow_dags", dags, dirs_exist_ok=True)
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({ADMIN: PASSWORD}))
    settings = {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # A Dag that is unpaused would run for last night first, of which the warehouse has nothing.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW_VAR_SALESFORCE_RESULTS": str(folder / "results"),
    }
    with real_airflow(postgres_url, folder, dags, settings) as running:
        running.log_in(ADMIN, PASSWORD)
        running.wait_for(lambda: len(running.call("GET", "/dags")["dags"]) == 8, "eight Dags are read")
        assert running.call("GET", "/connections")["connections"] == []
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        pytest.fail("There is no Chromium here: `python3 dev.py test` installs it, or says how.")
    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=program, args=args)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def visitor(browser: Browser, airflow: RealAirflow) -> Iterator[Visitor]:
    """Somebody at the browser, who has not logged in yet."""
    with Visitor(browser, airflow.url, ARTIFACTS) as visitor:
        yield visitor


@pytest.fixture(autouse=True)
def _step(request: pytest.FixtureRequest, visitor: Visitor) -> Iterator[None]:
    """One step: what is to be seen where it fails is kept, pages have to behave, and no step follows a failed one."""
    if visitor.is_lost:
        pytest.skip("The journey ended before this step.")
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        visitor.keep(re.sub(r"\W+", "-", request.node.name))
    visitor.check()
