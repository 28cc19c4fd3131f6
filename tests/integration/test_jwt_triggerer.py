"""A connection that signs, in a real Airflow: worker, triggerer, rotation, and nothing of a key anywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator.setup_data import RUN_AS_USERNAME
from tests.chaos.leaks import leaks
from tests.integration.real_airflow import RealAirflow, real_airflow
from tests.integration.support import people
from tests.signing_keys import PASSWORD, certificate, material, pem

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

DAGS = Path(__file__).with_name("airflow_dags")
CONNECTION = "salesforce_leads_default"
ROWS = 3_000
FIRST, SECOND = pem(password=PASSWORD), pem("second")
# What every assertion begins with; Airflow's own tokens are signed in another way.
ASSERTION = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."


@pytest.fixture(scope="module")
def airflow(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAirflow]:
    """An Airflow whose Test button works."""
    folder = tmp_path_factory.mktemp("airflow")
    dags = Path(shutil.copytree(DAGS, folder / "dags", ignore=shutil.ignore_patterns("__pycache__")))
    (folder / "people.jsonl").write_text("\n".join(map(json.dumps, people(ROWS))))
    settings = {"AIRFLOW_VAR_FOLDER": str(folder), "AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}
    with real_airflow(postgres_url, folder, dags, settings) as running:
        running.wait_for(lambda: len(running.call("GET", "/dags")["dags"]) == 4, "four Dags are read")
        yield running


def connection(url: str, **extra: str) -> dict[str, Any]:
    """A connection as the form saves it: what hides a key loses its line breaks."""
    said = {"auth": "jwt_bearer", "username": RUN_AS_USERNAME, **extra}
    said["private_key"] = said["private_key"].replace("\n", "")
    port = int(url.rsplit(":", 1)[1])
    fields = {"conn_type": "salesforce_leads", "host": "http://127.0.0.1", "port": port, "login": "emulator-key"}
    return {"connection_id": CONNECTION, **fields, "extra": json.dumps(said)}


def test_a_signed_load_is_deferred_its_key_rotated_and_nothing_told(
    airflow: RealAirflow, emulator: EmulatorServer
) -> None:
    """Logs of all programs, and all tables: XCom, triggers, rendered templates, and what else there is."""
    emulator.change_settings(jwt_certificates=[certificate()], bulk_rate=1.0)
    saved = connection(emulator.url, private_key=FIRST, private_key_password=PASSWORD)
    airflow.call("POST", "/connections", saved)
    shown = airflow.call("GET", f"/connections/{CONNECTION}")
    tested = airflow.call("POST", "/connections/test", shown)
    assert tested["status"], tested

    run = airflow.trigger("unhurried")
    run.wait_for("deferred")
    airflow.wait_for(lambda: emulator.stats()["token_requests"] == 3, "the triggerer signs, as Test and worker did")
    triggers = airflow.triggers()
    emulator.finish_jobs()
    run.wait_for("success")
    assert run.report()["created"] == ROWS

    # The old certificate goes; the next token is refused, and a new key in the connection is all that it takes.
    emulator.change_settings(jwt_certificates=[certificate("second")], bulk_rate=None)
    emulator.expire_tokens()
    second = airflow.trigger("unhurried")
    airflow.wait_for(second.has_ended, "the second run ends")
    assert second.task()["state"] == "failed"
    assert "upload the certificate" in "".join(log.read_text() for log in second.logs())
    refused = airflow.call("POST", "/connections/test", saved)
    assert not refused["status"]
    airflow.call("PATCH", f"/connections/{CONNECTION}", connection(emulator.url, private_key=SECOND))
    second.clear()
    second.wait_for("success")

    told = json.dumps([shown, tested, refused, run.report(), second.report(), run.links()])
    secrets = [*material(FIRST, SECOND, pem()), PASSWORD, ASSERTION, *emulator.tokens_issued()]
    assert not [secret for secret in secrets if secret in told]
    assert leaks(airflow, secrets, triggers) == []
    # It does find what is there.
    assert leaks(airflow, ["upload the certificate"], [])
