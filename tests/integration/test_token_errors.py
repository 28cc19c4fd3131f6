"""A token endpoint that has trouble: what passes costs a warning, what lasts is told at once, for all that ask."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import AuthenticationError, ServiceUnavailableError, SessionRejectedError
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator
from airflow_provider_sfleads.salesforce.async_client import AsyncClient
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.triggers.bulk import SalesforceBulkJobTrigger
from tests.integration.support import FIELDS, Rows, StateStore, deferred, no_retry, people, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

TOKEN = "oauth2/token"
HTML = {"Content-Type": "text/html"}
PAGE = "<html><head><title>Maintenance</title></head><body>We are down for maintenance.</body></html>"
Answer = dict[str, Any]


def told(error: str, description: str, status: int = 400) -> Answer:
    """An OAuth error."""
    return {"status": status, "reply": {"error": error, "error_description": description}}


PASSING: dict[str, Answer] = {
    "retry your request": told("unknown_error", "retry your request"),
    "being processed": told("invalid_grant", "token request is already being processed"),
    "login rate": told("invalid_grant", "login rate exceeded"),
    "rate limit": told("rate_limit_exceeded", "too many requests"),
    "server error": told("server_error", "x", 500),
    "unavailable": told("temporarily_unavailable", "x"),
    "420": {"status": 420, "reply": ""},
    "429": {"status": 429, "reply": ""},
    "503": {"status": 503, "reply": PAGE, "headers": HTML},
    "400 page": {"status": 400, "reply": PAGE, "headers": HTML},
    "200 page": {"status": 200, "reply": PAGE, "headers": HTML},
}
LASTING: dict[str, tuple[Answer, str]] = {
    "secret": (told("invalid_client", "invalid client credentials"), "consumer secret"),
    "not installed": (told("invalid_client", "app must be installed into org"), "Approve Uninstalled Connected Apps"),
    "no user": (told("invalid_grant", "no client credentials user enabled"), "Run As user"),
    "inactive": (told("inactive_user", "user is inactive"), "unfreeze"),
    "ip": (told("invalid_grant", "ip restricted"), "IP address"),
    "unheard of": (told("unheard_of", "x"), "Login History"),
}


class QuickHook(SalesforceLeadsHook):
    """A hook that does not wait between attempts."""

    def _make_client(self, settings: Settings) -> Client:
        return Client(settings, sleep=lambda _seconds: None)


class QuickOperator(SalesforceCreateLeadsOperator):
    """An operator whose hook does not wait."""

    def _hook(self) -> SalesforceLeadsHook:
        return QuickHook(self.salesforce_conn_id)


class QuickTrigger(SalesforceBulkJobTrigger):
    """A trigger whose client does not wait between attempts."""

    async def _client(self) -> AsyncClient:
        async def no_wait(_seconds: float) -> None:
            await asyncio.sleep(0)

        return AsyncClient(await self._settings(), sleep=no_wait)


@pytest.fixture
def hook(salesforce_conn: str) -> Iterator[SalesforceLeadsHook]:
    """A quick hook for the emulator."""
    made = QuickHook(salesforce_conn)
    yield made
    made.client.close()


@pytest.fixture
def operator(tmp_path: Path) -> QuickOperator:
    """A task that creates three leads."""
    return quick_operator(tmp_path)


def quick_operator(folder: Path, **more: Any) -> QuickOperator:
    """A task that creates three leads."""
    given = {"external_id_field": "External_Id__c", "fields": FIELDS, "key": "key", **more}
    export: Any = Rows(people(3))
    return QuickOperator(task_id="create", export=export, results_path=str(folder), **given)


def event_of(trigger: SalesforceBulkJobTrigger) -> dict[str, Any]:
    """The one event."""

    async def collect() -> list[Any]:
        return [event.payload async for event in trigger.run()]

    (event,) = asyncio.run(collect())
    found: dict[str, Any] = event
    return found


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the provider warned of."""
    ours = (r for r in caplog.records if r.name.startswith("airflow_provider_sfleads") and "emulator" not in r.name)
    return [record.getMessage() for record in ours if record.levelname in ("WARNING", "ERROR")]


def trouble(emulator: EmulatorServer, answer: Answer, times: int | None = None) -> None:
    """Have the token endpoint answer so, that many times."""
    emulator.add_fault("status", method="POST", path=TOKEN, times=times, **answer)


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
def test_what_passes_after_two_requests_costs_a_hook_one_warning(
    answer: Answer, emulator: EmulatorServer, hook: SalesforceLeadsHook, caplog: pytest.LogCaptureFixture
) -> None:
    """The call goes through."""
    trouble(emulator, answer, times=2)
    assert hook.describe("Lead")["name"] == "Lead"
    assert hook.client.token_requests == 3
    (warning,) = warnings_in(caplog)
    assert "Attempt 1 of 5" in warning


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
def test_what_passes_after_two_requests_fails_no_task(
    answer: Answer, emulator: EmulatorServer, operator: QuickOperator, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning, and the leads are there."""
    trouble(emulator, answer, times=2)
    ran = run(operator)
    assert (ran.error, ran.counts, ran.full["token_requests"]) == (None, {"created": 3}, 3)
    assert len(warnings_in(caplog)) == 1


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
def test_what_goes_on_for_longer_is_for_airflow_to_try_again(
    answer: Answer, emulator: EmulatorServer, operator: QuickOperator
) -> None:
    """The next try finds it passed."""
    trouble(emulator, answer)
    first = run(operator)
    assert type(first.error) is ServiceUnavailableError
    assert not no_retry(first.error)
    emulator.clear_faults()
    assert run(operator).counts == {"created": 3}


@pytest.mark.parametrize(("answer", "words"), LASTING.values(), ids=LASTING)
def test_what_lasts_fails_the_task_at_once_and_for_good(
    answer: Answer, words: str, emulator: EmulatorServer, operator: QuickOperator
) -> None:
    """One request, no retry, and what to do."""
    trouble(emulator, answer)
    ran = run(operator)
    assert isinstance(ran.error, AuthenticationError)
    assert no_retry(ran.error)
    assert words in str(ran.error)
    (fault,) = emulator.faults()
    assert fault["hits"] == 1


def test_an_expired_password_is_told_as_what_it_is(emulator: EmulatorServer, operator: QuickOperator) -> None:
    """Nobody rotates keys or changes IP ranges for it, and no second token is fetched."""
    code = "INVALID_OPERATION_WITH_EXPIRED_PASSWORD"
    reply = [{"message": "Your password has expired. Please reset your password.", "errorCode": code}]
    emulator.add_fault("status", path="services/data/", status=401, reply=reply)
    ran = run(operator)
    assert isinstance(ran.error, SessionRejectedError)
    assert no_retry(ran.error)
    for words in (code, "Password Never Expires", "resets it"):
        assert words in str(ran.error)
    assert emulator.stats()["token_requests"] == 1


@pytest.fixture
def waiting(
    emulator: EmulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[QuickOperator, Any, str]:
    """A deferred task, its context, and its job, which is over by now."""
    monkeypatch.setattr("airflow_provider_sfleads.operators.load_run._PATIENCE", 0.0)
    emulator.change_settings(bulk_delay=60.0)
    made = quick_operator(tmp_path, api="bulk", deferrable=True)
    said, context = deferred(made, StateStore())
    emulator.change_settings(bulk_delay=0.0)
    emulator.finish_jobs()
    (job_id,) = said.trigger.serialize()[1]["job_ids"]
    return made, context, job_id


def trigger_for(job_id: str) -> QuickTrigger:
    """A trigger that waits for the job."""
    return QuickTrigger(salesforce_conn_id="salesforce_leads_default", job_ids=[job_id], started_at=time.time())


@pytest.mark.parametrize("answer", PASSING.values(), ids=PASSING)
@pytest.mark.parametrize("times", [2, 7])
def test_what_passes_ends_no_trigger(
    times: int,
    answer: Answer,
    waiting: tuple[QuickOperator, Any, str],
    emulator: EmulatorServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two failures cost one warning; more than a call bears are waited out between polls. The task goes on after it."""
    made, context, job_id = waiting
    trouble(emulator, answer, times=times)
    caplog.clear()
    event = event_of(trigger_for(job_id))
    assert (event["status"], event["message"], event["token_requests"]) == ("finished", None, times + 1)
    assert len(warnings_in(caplog)) == (1 if times == 2 else 3)
    report = made.execute_complete(context, event)
    assert (report["created"], len(emulator.leads())) == (3, 3)


@pytest.mark.parametrize(("answer", "words"), LASTING.values(), ids=LASTING)
def test_what_lasts_ends_the_trigger_and_the_task(
    answer: Answer, words: str, waiting: tuple[QuickOperator, Any, str], emulator: EmulatorServer
) -> None:
    """It is met once by each, and not tried again."""
    made, context, job_id = waiting
    trouble(emulator, answer)
    event = event_of(trigger_for(job_id))
    assert (event["status"], event["token_requests"]) == ("error", 1)
    assert words in event["message"]
    with pytest.raises(AuthenticationError, match=words) as caught:
        made.execute_complete(context, event)
    assert no_retry(caught.value)
