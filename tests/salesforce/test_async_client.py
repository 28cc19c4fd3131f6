"""The client for event loops does what the one that blocks does."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from airflow_provider_sfleads import __version__
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    AuthenticationError,
    ConnectionFailedError,
    ConnectionFieldError,
    OutcomeUnknownError,
    ParameterError,
    ServiceUnavailableError,
    SessionRejectedError,
    WrongHostError,
    WrongKeyOrSecretError,
)
from airflow_provider_sfleads.salesforce.async_client import AsyncClient
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.ingest_jobs import JobSpec, abort_job, create_job, get_job, upload
from airflow_provider_sfleads.salesforce.settings import Retries, Settings
from airflow_provider_sfleads.salesforce.wire import ApiUsage, Call, Reply
from tests.salesforce.stub import EXPIRED, LASTING, PASSING, Say, Script, refused, serving, twice

if TYPE_CHECKING:
    from pathlib import Path

    from tests.salesforce.stub import Stub

JOB = "7505g00000XyZaBAAV"
ASK = get_job(JOB)
Result = TypeVar("Result")


def script(*answers: Say) -> Script:
    """Answer requests in this order, and the last of them from then on."""
    return lambda got: answers[min(got.number, len(answers)) - 1]


class Loop:
    """Runs one piece of work with a client that never really sleeps; keeps what it waited and what it masked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.waits: list[float] = []
        self.secrets: list[str] = []
        self.counts = (0, 0)

    def __call__(self, work: Callable[[AsyncClient], Awaitable[Result]], **settings: Any) -> Result:
        """Run it."""
        return asyncio.run(self._run(work, settings))

    async def _run(self, work: Callable[[AsyncClient], Awaitable[Result]], settings: dict[str, Any]) -> Result:
        values = {"host": parse_host(self.url), "consumer_key": "the-key", "consumer_secret": "the-secret"}
        made = Settings(**{**values, "timeout": 5.0, "conn_id": "sf", **settings})
        client = AsyncClient(made, sleep=self._sleep, random=lambda: 0.5, now=lambda: 0.0, on_secret=self._mask)
        async with client:
            try:
                return await work(client)
            finally:
                self.counts = (client.api_calls, client.token_requests)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def _mask(self, secret: str) -> None:
        self.secrets.append(secret)


@pytest.fixture
def run(stub: Stub) -> Loop:
    """Run work against the stub."""
    return Loop(stub.url)


def ask(client: AsyncClient) -> Awaitable[Reply]:
    """Ask for a job."""
    return client.send(ASK)


def test_a_call_goes_out_as_from_the_blocking_client(stub: Stub, run: Loop) -> None:
    """Path, token, names and form of the token request are the same."""
    stub.script = script(Say(200, {"id": JOB}, {"Sforce-Limit-Info": "api-usage=18/5000"}))

    async def work(client: AsyncClient) -> tuple[Reply, ApiUsage | None]:
        return await client.send(ASK), client.api_usage

    reply, usage = run(work)
    got = stub.requests[0]
    assert (reply.status, reply.body, usage) == (200, {"id": JOB}, ApiUsage(18, 5000))
    assert (got.method, got.path) == ("GET", f"/services/data/v60.0/jobs/ingest/{JOB}")
    assert got.headers["authorization"] == "Bearer token-1"
    assert got.headers["accept"] == "application/json"
    assert got.headers["user-agent"] == f"airflow-provider-sfleads/{__version__}"
    assert stub.token_forms == [b"grant_type=client_credentials&client_id=the-key&client_secret=the-secret"]
    assert (run.secrets, run.counts) == (["token-1"], (1, 1))


def test_a_body_goes_out_as_json(stub: Stub, run: Loop) -> None:
    """An abort says so in its body."""
    run(lambda client: client.send(abort_job(JOB)))
    assert (stub.requests[0].method, stub.requests[0].body) == ("PATCH", b'{"state":"Aborted"}')
    assert stub.requests[0].headers["content-type"] == "application/json; charset=UTF-8"


def test_many_callers_share_one_token(stub: Stub, run: Loop) -> None:
    """Twenty calls at once fetch it once."""

    async def work(client: AsyncClient) -> None:
        await asyncio.gather(*(client.send(ASK) for _ in range(20)))

    run(work)
    assert (len(stub.token_forms), len(stub.requests)) == (1, 20)


def test_a_token_that_expired_is_renewed_once_for_all(stub: Stub, run: Loop) -> None:
    """Ten callers that are refused together fetch one new token."""
    stub.script = lambda got: EXPIRED if got.headers["authorization"] == "Bearer token-1" else Say(200, {})

    async def work(client: AsyncClient) -> list[Reply]:
        return list(await asyncio.gather(*(client.send(ASK) for _ in range(10))))

    assert {reply.status for reply in run(work)} == {200}
    assert len(stub.token_forms) == 2


def test_a_new_token_that_is_refused_as_well_ends_it(stub: Stub, run: Loop) -> None:
    """Nothing is hammered."""
    stub.script = script(EXPIRED)
    with pytest.raises(SessionRejectedError):
        run(ask)
    assert (len(stub.token_forms), len(stub.requests)) == (2, 2)


@pytest.mark.parametrize(
    "trouble",
    [
        Say(503, [{"errorCode": "SERVER_UNAVAILABLE", "message": ""}]),
        Say(200, {"id": JOB}, cut=10),
        Say(hang_up=True),
        Say(200, b"<html>", {"Content-Type": "text/html"}),
    ],
    ids=["busy", "cut", "hung up", "a page"],
)
def test_what_passes_is_ridden_out(stub: Stub, run: Loop, trouble: Say) -> None:
    """A call is repeated after a wait that grows."""
    stub.script = script(trouble, trouble, Say(200, {"id": JOB}))
    assert run(ask).body == {"id": JOB}
    assert (len(stub.requests), run.counts[1]) == (3, 1)
    # Over a connection that it has kept, aiohttp itself repeats a GET once, at once.
    assert run.waits in ([0.5, 1.0], [0.5])


def test_what_does_not_pass_is_told(stub: Stub, run: Loop) -> None:
    """When no attempt is left, the last word is the error."""
    stub.script = script(Say(503))
    with pytest.raises(ServiceUnavailableError, match=f"GET jobs/ingest/{JOB}.*HTTP 503"):
        run(ask, retries=Retries(attempts=2))
    assert len(stub.requests) == 2


def test_a_create_without_an_answer_is_not_repeated(stub: Stub, run: Loop) -> None:
    """Rules of repeating are those of every client."""
    stub.script = script(Say(hang_up=True))
    with pytest.raises(OutcomeUnknownError):
        run(lambda client: client.send(create_job(JobSpec(operation="insert"))))
    assert len(stub.requests) == 1


def test_refusals_are_the_callers_to_judge(stub: Stub, run: Loop) -> None:
    """A job that is gone is a reply, a limit an error."""
    stub.script = script(refused("NOT_FOUND", "", 404), refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests", 403))

    async def work(client: AsyncClient) -> None:
        assert (await client.send(ASK)).status == 404
        with pytest.raises(ApiLimitError):
            await client.send(ASK)

    run(work)


def test_no_redirect_is_followed(stub: Stub, run: Loop) -> None:
    """A token does not go elsewhere."""
    stub.script = script(Say(302, None, {"Location": f"{stub.url}/elsewhere"}))
    with pytest.raises(WrongHostError, match="redirect"):
        run(ask)
    assert len(stub.requests) == 1


def test_a_wrong_secret_is_asked_with_once(stub: Stub, run: Loop) -> None:
    """All that wait for the token get its error, and nobody tries again."""
    body = {"error": "invalid_client", "error_description": "invalid client credentials"}
    stub.token_script = lambda _got: Say(400, body)

    async def work(client: AsyncClient) -> list[object]:
        return list(await asyncio.gather(*(client.send(ASK) for _ in range(5)), return_exceptions=True))

    assert {type(error) for error in run(work)} == {WrongKeyOrSecretError}
    assert len(stub.token_forms) == 1


@pytest.mark.parametrize("say", PASSING.values(), ids=PASSING)
def test_a_token_error_that_passes_costs_one_warning(
    stub: Stub, run: Loop, say: Say, caplog: pytest.LogCaptureFixture
) -> None:
    """By the same rule as for threads."""
    stub.token_script = twice(stub, say)
    assert run(ask).status == 200
    assert run.counts == (1, 3)
    assert [record.levelname for record in caplog.records if record.levelno > logging.INFO] == ["WARNING"]
    stub.token_script = lambda _got: say
    with pytest.raises(ServiceUnavailableError):
        run(ask, retries=Retries(attempts=1))


@pytest.mark.parametrize("say", LASTING.values(), ids=LASTING)
def test_a_token_error_that_lasts_is_met_once(stub: Stub, run: Loop, say: Say) -> None:
    """Likewise."""
    stub.token_script = lambda _got: say
    with pytest.raises(AuthenticationError):
        run(ask)
    assert (run.counts, run.waits) == ((0, 1), [])


def test_an_expired_password_is_no_matter_of_the_token(stub: Stub, run: Loop) -> None:
    """No other token is fetched."""
    stub.script = script(refused("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "Your password has expired.", 401))
    with pytest.raises(SessionRejectedError, match="Password Never Expires"):
        run(ask)
    assert run.counts == (1, 1)


def test_a_token_endpoint_that_is_busy_is_asked_again(stub: Stub, run: Loop) -> None:
    """A token request changes nothing and can be repeated."""
    answers = [Say(503), Say(200, {"access_token": "t", "instance_url": stub.url})]
    stub.token_script = lambda got: answers[got.number - 1]
    assert run(ask).status == 200
    assert run.counts == (1, 2)


def test_nobody_listening_is_a_failed_connection() -> None:
    """The message names the host, and no request is counted."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        run = Loop(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ConnectionFailedError, match="refused"):
            run(ask, retries=Retries(attempts=1))
    assert run.counts[0] == 0


def test_an_answer_that_does_not_come_is_waited_for_so_long(stub: Stub, run: Loop) -> None:
    """The connection's time-out applies."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stub.token_script = lambda _got: Say(
            200, {"access_token": "t", "instance_url": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        )
        with pytest.raises(ServiceUnavailableError, match="no answer in time"):
            run(ask, timeout=1.0, retries=Retries(attempts=1))
    assert run.counts[0] == 1


def test_a_proxy_of_the_connection_is_used(stub: Stub, run: Loop) -> None:
    """The request goes to the proxy, with the whole URL in its first line."""
    with serving() as proxy:
        proxy.script = script(Say(200, {"by": "proxy"}))
        proxies = {"http": proxy.url.removeprefix("http://")}
        proxy.token_script = None
        with pytest.raises(WrongHostError):
            # The stub as a proxy knows no token endpoint below a whole URL.
            run(ask, proxies=proxies)
        assert proxy.requests[0].path == f"{stub.url}/services/oauth2/token"


def test_a_proxy_whose_name_is_unknown_is_the_proxy(run: Loop) -> None:
    """Nobody is sent to the host of the connection for it, and it may come back."""
    with pytest.raises(ConnectionFailedError, match="the proxy refuses or does not answer"):
        run(ask, proxies={"http": "http://no-proxy.invalid:3128"}, retries=Retries(attempts=1))


def test_what_it_cannot_do_it_says(run: Loop, tmp_path: Path) -> None:
    """Neither SOCKS proxies nor files are for an event loop."""
    with pytest.raises(ConnectionFieldError, match="SOCKS"):
        run(ask, proxies={"http": "socks5://127.0.0.1:1080"})
    with pytest.raises(ParameterError, match="disk"):
        run(lambda client: client.send(upload(JOB, tmp_path / "rows.csv")))


def test_a_certificate_that_is_not_trusted_is_told() -> None:
    """What listens there speaks no TLS, which is told as such."""
    with socket.create_server(("127.0.0.1", 0)) as plain:
        run = Loop(f"https://127.0.0.1:{plain.getsockname()[1]}")

        async def work(client: AsyncClient) -> Reply:
            reply, _ = await asyncio.gather(client.send(ASK), asyncio.to_thread(_mumble, plain))
            return reply

        with pytest.raises(WrongHostError, match="cannot be trusted"):
            run(work)


def _mumble(server: socket.socket) -> None:
    with server.accept()[0] as line:
        line.recv(1000)
        line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_call_with_parameters_is_encoded_once(stub: Stub, run: Loop) -> None:
    """Queries arrive as they were written."""
    run(lambda client: client.send(Call(method="GET", path="query", params={"q": "SELECT Id FROM X WHERE A='a%b+c'"})))
    assert stub.requests[0].path == "/services/data/v60.0/query?q=SELECT+Id+FROM+X+WHERE+A%3D'a%25b%2Bc'"
