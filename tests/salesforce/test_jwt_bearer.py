# ruff: noqa: TID253 - a test is no Dag file
"""Token requests that are signed, from both clients."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import jwt
import pytest

from airflow_provider_sfleads.exceptions import AuthenticationError, SalesforceLeadsError
from airflow_provider_sfleads.salesforce.async_client import AsyncClient
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.ingest_jobs import get_job
from airflow_provider_sfleads.salesforce.settings import JwtBearer, Settings
from airflow_provider_sfleads.salesforce.wire import Call
from tests.salesforce.stub import EXPIRED, Got, Say
from tests.signing_keys import key, public

if TYPE_CHECKING:
    from tests.salesforce.conftest import MakeClient
    from tests.salesforce.stub import Stub

AUDIENCE = "https://login.salesforce.com"
NOW = 1_700_000_000
ASK = Call(method="GET", path="sobjects/Lead/describe")


def signing() -> JwtBearer:
    """The key of a connection."""
    return JwtBearer(key=key(), username="u@example.invalid", audience=AUDIENCE)


def assertions(stub: Stub) -> list[str]:
    """What the token requests were signed by, in order."""
    return [parse_qs(form.decode())["assertion"][0] for form in stub.token_forms]


def expiries(stub: Stub) -> list[int]:
    """Until when each was valid."""
    decoded = [
        jwt.decode(text, public(), ["RS256"], audience=AUDIENCE, options={"verify_exp": False})
        for text in assertions(stub)
    ]
    return [claims["exp"] for claims in decoded]


class Ticking:
    """A clock that goes on by a minute each time that it is looked at, and what was masked."""

    def __init__(self) -> None:
        self.seconds, self.secrets = float(NOW), list[str]()

    def now(self) -> float:
        """Look."""
        self.seconds += 60
        return self.seconds

    async def mask(self, secret: str) -> None:
        """Take a secret."""
        self.secrets.append(secret)


def assert_useless(sent: list[str], masked: list[str]) -> None:
    """Who, for whom and to whom is masked, and by the same text for all: a masker that learns one more looks longer."""
    assert len(sent) > 1
    (common,) = set(masked)
    for assertion in sent:
        left = assertion.replace(common, "***")
        assert left.startswith("***")
        claims, _, signature = left.removeprefix("***").partition(".")
        assert len(claims) == 24
        assert signature


def fails_once(stub: Stub) -> None:
    """Answer the first token request of each two with a passing error."""
    good = {"access_token": "token", "instance_url": stub.url}
    stub.token_script = lambda got: Say(body=good) if got.number % 2 == 0 else Say(503)


def test_each_attempt_has_an_assertion_of_its_own_and_masks_what_is_signed(stub: Stub, make_client: MakeClient) -> None:
    """The clock's time plus three minutes; what was refused once is not sent again."""
    fails_once(stub)
    client = make_client(consumer_secret="", bearer=signing())
    client.login()
    assert expiries(stub) == [NOW + 180] * 2
    assert make_client.secrets[-1] == "token"
    assert_useless(assertions(stub), make_client.secrets[:-1])
    assert client.token_requests == 2


def test_the_client_for_event_loops_does_the_same(stub: Stub) -> None:
    """With a clock that goes on, each assertion is younger than the one before."""
    fails_once(stub)
    ticking = Ticking()

    async def work() -> None:
        settings = Settings(host=parse_host(stub.url), consumer_key="k", bearer=signing())
        client = AsyncClient(settings, sleep=lambda _s: asyncio.sleep(0), now=ticking.now, on_secret=ticking.mask)
        async with client:
            await client.send(get_job("7505g00000XyZaBAAV"))

    asyncio.run(work())
    first, second = expiries(stub)
    assert first == NOW + 60 + 180
    assert second > first
    assert ticking.secrets[-1] == "token"
    assert_useless(assertions(stub), ticking.secrets[:-1])


def test_a_token_that_expires_is_renewed_once_for_all(stub: Stub, make_client: MakeClient) -> None:
    """The same single flight as with a secret."""
    stub.script = lambda got: EXPIRED if got.headers["authorization"] == "Bearer token-1" else Say(body={})
    client = make_client(consumer_secret="", bearer=signing())
    assert [client.send(ASK).status for _ in range(3)] == [200] * 3
    assert len(stub.token_forms) == 2


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (NOW + 600, "it is 600 seconds behind Salesforce's"),
        (NOW - 600, "it is 600 seconds ahead of Salesforce's"),
        (NOW + 5, "set the clock by NTP."),
    ],
)
def test_a_clock_that_is_off_is_named(stub: Stub, make_client: MakeClient, theirs: int, words: str) -> None:
    """By as much as the answer's own date tells."""
    said = {"error": "invalid_grant", "error_description": "expired authorization code"}

    def answer(_got: Got) -> Say:
        # Under http.server's own date, which comes first.
        return Say(raw=[_http(said, formatdate(theirs, usegmt=True))])

    stub.token_script = answer
    with pytest.raises(AuthenticationError) as caught:
        make_client(consumer_secret="", bearer=signing()).login()
    assert words in str(caught.value)
    assert not caught.value.transient


def _http(body: object, date: str) -> bytes:
    import json

    content = json.dumps(body).encode()
    head = f"HTTP/1.1 400 Bad Request\r\nDate: {date}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content


def test_a_lasting_refusal_is_asked_for_once(stub: Stub, make_client: MakeClient) -> None:
    """Nobody hammers the endpoint with a key that does not fit."""
    stub.token_script = lambda _got: Say(400, {"error": "invalid_grant", "error_description": "invalid assertion"})
    client = make_client(consumer_secret="", bearer=signing())
    for _ in range(3):
        with pytest.raises(SalesforceLeadsError, match="private_key"):
            client.login()
    assert len(stub.token_forms) == 1
