from __future__ import annotations

import json
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
import requests
from urllib3.exceptions import MaxRetryError, SSLError

from airflow_provider_sfleads.exceptions import (
    AuthenticationError,
    ConnectionFailedError,
    FlowNotEnabledError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    WrongHostError,
    WrongKeyOrSecretError,
)
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.settings import Retries, Settings
from airflow_provider_sfleads.salesforce.wire import Call
from tests.salesforce.stub import EXPIRED, LASTING, PASSING, Say, twice

if TYPE_CHECKING:
    from requests_mock import Mocker

    from tests.salesforce.conftest import MakeClient
    from tests.salesforce.stub import Stub

URL = "https://acme.my.salesforce.com/services/oauth2/token"
SAMPLES = Path(__file__).parents[1] / "samples" / "token"


def acme() -> Client:
    """A client of an org that is not there."""
    settings = Settings(host=parse_host("acme.my.salesforce.com"), consumer_key="k", consumer_secret="s3", conn_id="sf")
    return Client(settings, sleep=lambda _seconds: None)


def sample(name: str) -> object:
    """A recorded answer."""
    return json.loads((SAMPLES / f"{name}.json").read_text())


def test_the_token_request_is_a_form(stub: Stub, make_client: MakeClient) -> None:
    """Key and secret travel in the body, with no Authorization header."""
    make_client().login()
    assert parse_qs(stub.token_forms[0].decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["the-key"],
        "client_secret": ["the-secret"],
    }


def test_netrc_is_not_looked_into(
    stub: Stub, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An entry in ~/.netrc does not replace the token."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login l password p\nmachine localhost login l password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client = make_client()
    client.session.get(f"{stub.url}/a", timeout=30)
    client.session.get(f"http://localhost:{stub.port}/b", timeout=30)
    assert stub.requests[0].headers["authorization"] == "Bearer token-1"
    assert "authorization" not in stub.requests[1].headers


CAUSES: list[tuple[str, type[SalesforceLeadsError], str]] = [
    ("invalid_client_id", WrongKeyOrSecretError, "consumer key"),
    ("invalid_client", WrongKeyOrSecretError, "consumer secret"),
    ("no_run_as_user", FlowNotEnabledError, "Run As user"),
    ("wrong_domain", WrongHostError, "My Domain"),
    ("unsupported_grant_type", FlowNotEnabledError, "Enable Client Credentials Flow"),
    ("ip_restricted", AuthenticationError, "IP address"),
    ("invalid_app_access", AuthenticationError, "pre-authorised"),
    ("inactive_user", AuthenticationError, "unfreeze"),
    ("unheard_of", AuthenticationError, "Login History"),
]


@pytest.mark.parametrize(("name", "kind", "words"), CAUSES)
def test_each_cause_has_its_error_and_its_cure(
    requests_mock: Mocker, name: str, kind: type[SalesforceLeadsError], words: str
) -> None:
    """Salesforce's answer decides the error, the message names host and connection and says what to do, once."""
    requests_mock.post(URL, status_code=400, json=sample(name))
    with pytest.raises(kind, match=words) as caught:
        acme().login()
    assert type(caught.value) is kind
    assert "acme.my.salesforce.com" in str(caught.value)
    assert "'sf'" in str(caught.value)
    assert "s3" not in str(caught.value)
    assert requests_mock.call_count == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 404, "text": "<html>"},
        {"status_code": 200, "json": {"token_type": "Bearer"}},
        {"status_code": 302, "headers": {"Location": "https://evil.example"}},
        {"status_code": 400, "json": [{"errorCode": "X"}]},
    ],
)
def test_what_is_no_token_endpoint_is_the_wrong_host(requests_mock: Mocker, answer: dict[str, Any]) -> None:
    """A host that answers otherwise is the wrong one, and no redirect takes the secret elsewhere."""
    requests_mock.post(URL, **answer)
    with pytest.raises(WrongHostError):
        acme().login()
    assert {request.url for request in requests_mock.request_history} == {URL}


@pytest.mark.parametrize(
    "instance",
    ["https://evil.example", "http://acme.my.salesforce.com", "http://127.0.0.1:80", "https://login.salesforce.com"],
)
def test_the_token_goes_only_where_the_host_rule_allows(requests_mock: Mocker, instance: str) -> None:
    """An instance_url that is no My Domain host is refused before the token is sent there."""
    requests_mock.post(URL, json={"access_token": "t", "instance_url": instance})
    with pytest.raises(WrongHostError, match="instance_url"):
        acme().login()


def test_a_loopback_host_cannot_send_the_token_abroad(stub: Stub, make_client: MakeClient) -> None:
    """Nor does a local stand-in name a remote host."""
    stub.token_script = lambda _got: Say(body={"access_token": "t", "instance_url": "https://acme.my.salesforce.com"})
    with pytest.raises(WrongHostError, match="instance_url"):
        make_client().login()


def test_calls_go_to_the_instance_url(requests_mock: Mocker) -> None:
    """The host that the token reply names is the one that is called."""
    requests_mock.post(URL, json={"access_token": "t", "instance_url": "https://acme2.my.salesforce.com"})
    client = acme()
    client.login()
    assert client.base_url == "https://acme2.my.salesforce.com"


@pytest.mark.parametrize("say", PASSING.values(), ids=PASSING)
def test_passing_token_errors_are_waited_out(stub: Stub, make_client: MakeClient, say: Say) -> None:
    """What passes is asked again, and then is no fault of the connection: Airflow tries the task again."""
    stub.token_script = lambda _got: say
    client = make_client()
    with pytest.raises(ServiceUnavailableError):
        client.login()
    assert client.token_requests == 5


@pytest.mark.parametrize("say", PASSING.values(), ids=PASSING)
def test_what_passes_after_two_requests_costs_one_warning(
    stub: Stub, make_client: MakeClient, say: Say, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what is in the way, how often and with what pauses that is tried; later attempts only tell."""
    caplog.set_level("INFO")
    stub.token_script = twice(stub, say)
    client = make_client()
    client.login()
    assert (client.token_requests, len(make_client.waits)) == (3, 2)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    for words in ("Attempt 1 of 5", "60 s at most", "127.0.0.1", "'sf'"):
        assert words in warning
    assert "the-secret" not in caplog.text


@pytest.mark.parametrize("say", LASTING.values(), ids=LASTING)
def test_what_lasts_is_asked_once(
    stub: Stub, make_client: MakeClient, say: Say, caplog: pytest.LogCaptureFixture
) -> None:
    """No pause, no warning of another attempt."""
    stub.token_script = lambda _got: say
    client = make_client()
    with pytest.raises(AuthenticationError):
        client.login()
    assert (client.token_requests, make_client.waits, caplog.records) == (1, [], [])


def test_a_failure_that_passes_does_not_stick(stub: Stub, make_client: MakeClient) -> None:
    """Whoever asks after it has been told asks the endpoint, and what lasts is kept."""
    answers = {1: Say(503), 2: Say(200, {"access_token": "t", "instance_url": stub.url})}
    stub.token_script = lambda got: answers[min(got.number, 2)]
    client = make_client(retries=Retries(attempts=1))
    with pytest.raises(ServiceUnavailableError):
        client.login()
    client.login()
    assert client.token_requests == 2
    stub.script = lambda got: Say(200, {}) if got.number > 1 else EXPIRED
    stub.token_script = lambda _got: Say(400, {"error": "inactive_user"})
    for _ in range(2):
        with pytest.raises(AuthenticationError, match="unfreeze"):
            client.send(Call(method="GET", path="x"))
        stub.requests.clear()
    assert client.token_requests == 3


def test_what_retry_after_asks_is_heeded(stub: Stub, make_client: MakeClient) -> None:
    """Also where a login rate alone would have been given some minutes."""
    answer = {"error": "invalid_grant", "error_description": "login rate exceeded"}
    stub.token_script = twice(stub, Say(400, answer, {"Retry-After": "20"}))
    make_client().login()
    assert make_client.waits == [20.25, 20.25]


def failing(cause: BaseException) -> requests.ConnectionError:
    """A failure as requests wraps it."""
    wrapped = requests.ConnectionError(MaxRetryError(None, "/x?q=jane", cause))  # type: ignore[arg-type]
    return requests.exceptions.SSLError(*wrapped.args) if isinstance(cause, SSLError) else wrapped


@pytest.mark.parametrize(
    ("cause", "kind", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), WrongHostError, "host name is unknown"),
        (socket.gaierror(socket.EAI_AGAIN, "later"), ConnectionFailedError, "name server"),
        (SSLError(ssl.SSLError(1, "wrong version")), WrongHostError, "TLS connection failed"),
        (ConnectionRefusedError(), ConnectionFailedError, "refused"),
    ],
)
def test_unreachable_hosts_are_told_apart(
    requests_mock: Mocker, cause: Exception, kind: type[SalesforceLeadsError], words: str
) -> None:
    """An unknown name and a failing handshake mean the wrong host; the rest may pass."""
    requests_mock.post(URL, exc=failing(cause))
    with pytest.raises(kind, match=words) as caught:
        acme().login()
    assert "jane" not in str(caught.value)
