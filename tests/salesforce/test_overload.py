from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConcurrencyLimitError,
    OutcomeUnknownError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.settings import Retries, Settings
from airflow_provider_sfleads.salesforce.wire import Call
from tests.emulator.in_flight import peak
from tests.salesforce.stub import EXPIRED, Say, refused
from tests.salesforce.test_client import CREATE, HTML, HUNG_UP, READ, UPSERT, script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.salesforce.conftest import MakeClient
    from tests.salesforce.stub import Stub

pytestmark = pytest.mark.timeout(240)
ONCE = replace(READ, once=True)
TOO_MANY = refused("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", 403)
BUSY = refused("SERVER_UNAVAILABLE", "too busy", 503)
OVERLOADS = [Say(429), Say(503), Say(503, b"<html>", HTML), BUSY, TOO_MANY]
OTHERS = [Say(500), Say(502), Say(504), Say(420), refused("UNABLE_TO_LOCK_ROW"), HUNG_UP]


def asking(answer: Say, seconds: int) -> Say:
    """The answer, with a Retry-After."""
    return replace(answer, headers={**answer.headers, "Retry-After": str(seconds)})


@pytest.mark.parametrize(
    ("answer", "waits"), [*((answer, [30.0]) for answer in OVERLOADS), *((answer, []) for answer in OTHERS)]
)
def test_an_overload_holds_the_next_call_back(
    stub: Stub, make_client: MakeClient, answer: Say, waits: list[float]
) -> None:
    """What one call is asked to wait, another waits first; a server's error or a lost answer is one call's matter."""
    stub.script = script(asking(answer, 30), Say(body={}))
    client = make_client()
    with pytest.raises(SalesforceLeadsError):
        client.send(ONCE)
    client.send(READ)
    assert make_client.waits == waits


def test_a_create_of_unknown_outcome_tells_of_the_overload_too(stub: Stub, make_client: MakeClient) -> None:
    """It is not repeated; the others are held back, and the error says for how long."""
    stub.script = script(asking(Say(503, b"<html>", HTML), 30), Say(body={}))
    client = make_client()
    with pytest.raises(OutcomeUnknownError, match="in 30 s, as Salesforce asks") as caught:
        client.send(CREATE)
    client.send(READ)
    assert (caught.value.retry_after, make_client.waits) == (30.0, [30.0])


def test_who_was_told_to_wait_waits_once(stub: Stub, make_client: MakeClient) -> None:
    """Its own wait is not followed by that of all."""
    stub.script = script(asking(BUSY, 30), Say(body={}))
    make_client().send(READ)
    assert make_client.waits == [30.25]


def test_a_token_is_renewed_with_one_request_in_flight(stub: Stub, make_client: MakeClient) -> None:
    """The call that is repeated with the new token does not wait for itself."""
    stub.script = script(BUSY, EXPIRED, Say(body=[]))
    client = make_client()
    assert client.send(READ).status == 200
    assert client.token_requests == 2


WORTHWHILE: list[tuple[Call, Say, type[SalesforceLeadsError], float | None, str]] = [
    (READ, TOO_MANY, ConcurrencyLimitError, 300.0, "in five minutes or more"),
    (READ, asking(TOO_MANY, 7), ConcurrencyLimitError, 7.0, "in 7 s, as Salesforce asks"),
    (ONCE, TOO_MANY, ConcurrencyLimitError, None, "in five minutes or more"),
    (READ, refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests", 403), ApiLimitError, 3600.0, "in an hour or more"),
    (READ, refused("EXCEEDEDQUOTA", "ApiBatchItems"), ApiLimitError, 3600.0, "in an hour or more"),
    (READ, BUSY, ServiceUnavailableError, None, "Try again later"),
    (READ, asking(BUSY, 7), ServiceUnavailableError, 7.0, "in 7 s, as Salesforce asks"),
]


@pytest.mark.parametrize(("call", "answer", "kind", "seconds", "words"), WORTHWHILE)
def test_an_error_says_when_another_try_is_worthwhile(  # noqa: PLR0917 - a row of the table
    stub: Stub,
    make_client: MakeClient,
    call: Call,
    answer: Say,
    kind: type[SalesforceLeadsError],
    seconds: float | None,
    words: str,
) -> None:
    """In seconds and in words; who tries again by itself is told only what Salesforce said."""
    stub.script = script(answer)
    with pytest.raises(kind, match=words) as caught:
        make_client().send(call)
    assert caught.value.retry_after == seconds


def test_our_own_limit_says_so_too(stub: Stub, make_client: MakeClient) -> None:
    """The share of the day's requests comes down no faster than that."""
    stub.script = lambda _got: Say(body={}, headers={"Sforce-Limit-Info": "api-usage=95/100"})
    client = make_client()
    client.send(READ)
    with pytest.raises(ApiLimitError, match="in an hour or more") as caught:
        client.send(UPSERT)
    assert caught.value.retry_after == 3600.0


def test_a_token_refused_for_now_says_when_to_come_back(stub: Stub, make_client: MakeClient) -> None:
    """As Salesforce asks."""
    stub.token_script = lambda _got: Say(503, headers={"Retry-After": "9"})
    with pytest.raises(ServiceUnavailableError) as caught:
        make_client().send(READ)
    assert caught.value.retry_after == 9.0


@pytest.fixture
def slow() -> Iterator[EmulatorServer]:
    """A Salesforce whose answers take a moment."""
    with EmulatorServer(EmulatorSettings(latency_ms=30)) as server:
        yield server


@pytest.fixture
def client(slow: EmulatorServer) -> Iterator[Client]:
    """A client that really waits, but of its own accord hardly at all."""
    settings = Settings(
        host=parse_host(slow.url),
        consumer_key="emulator-key",
        consumer_secret="emulator-secret",
        retries=Retries(attempts=1000, base=0.0, cap=10.0),
    )
    client = Client(settings)
    yield client
    client.close()


def call_from_eight_threads(client: Client, times: int) -> None:
    """Call so often, without a rest."""
    with ThreadPoolExecutor(8) as pool:
        assert {reply.status for reply in pool.map(client.send, [READ] * times)} == {200}


def arrivals(server: EmulatorServer) -> list[dict[str, Any]]:
    """The calls that arrived, oldest first."""
    calls = [request for request in server.requests() if request["path"].endswith("/limits")]
    return sorted(calls, key=lambda request: request["started"])


@pytest.mark.parametrize("storm", [{"effect": "html_503"}, {"effect": "status", "status": 429, "reply": "slow down"}])
def test_a_storm_slows_all_threads_down_and_they_recover(
    slow: EmulatorServer, client: Client, storm: dict[str, Any]
) -> None:
    """Eight are in flight before it, one or two within, and many again after it."""
    call_from_eight_threads(client, 40)
    slow.add_fault(**storm, path="/limits", times=40)
    call_from_eight_threads(client, 200)
    requests = arrivals(slow)
    within = [request for request in requests if request["fault"]]
    after = [request for request in requests if request["started"] > within[-1]["ended"]]
    assert len(within) == 40
    assert peak(requests[:40]) >= 6
    assert peak(within[16:]) <= 2
    assert peak(after[:2]) <= 2
    assert peak(after) >= 6


def test_nobody_calls_while_salesforce_asks_to_wait(slow: EmulatorServer, client: Client) -> None:
    """One thread is told, and all eight wait."""
    slow.add_fault("status", status=429, headers={"Retry-After": "3"}, path="/limits", nth=20, times=1)
    call_from_eight_threads(client, 200)
    requests = arrivals(slow)
    [told] = [request for request in requests if request["fault"]]
    # What left before the answer was read is no breach, however late it is read or arrives.
    late = [request["started"] for request in requests if request["started"] >= told["ended"]]
    pauses = [after - before for before, after in pairwise([told["ended"], *late])]
    rest = max(pauses)
    assert rest > 2.0
    assert len(pauses) - pauses.index(rest) >= 20
