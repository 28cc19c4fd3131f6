from __future__ import annotations

import gzip
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_provider_sfleads import __version__
from airflow_provider_sfleads.exceptions import (
    ApiAccessError,
    ApiLimitError,
    ConnectionFailedError,
    OutcomeUnknownError,
    ParameterError,
    RequestRefusedError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    SessionRejectedError,
    WrongHostError,
    WrongKeyOrSecretError,
)
from airflow_provider_sfleads.salesforce.replies import errors_of
from airflow_provider_sfleads.salesforce.settings import Retries
from airflow_provider_sfleads.salesforce.wire import ApiUsage, Call
from tests.salesforce.stub import EXPIRED, Got, Say, Script, refused

if TYPE_CHECKING:
    from tests.salesforce.conftest import MakeClient
    from tests.salesforce.stub import Stub

READ = Call(method="GET", path="limits")
UPSERT = Call(method="PATCH", path="composite/sobjects/Lead/Ext__c", body={"records": []}, write=True)
CREATE = Call(method="POST", path="composite/sobjects", body={"records": []}, write=True, repeatable=False)
HUNG_UP = Say(hang_up=True)
CUT = Say(body=[], cut=10)
HTML = {"Content-Type": "text/html"}


def script(*answers: Say) -> Script:
    """Answer requests in this order, and the last of them from then on."""
    return lambda got: answers[min(got.number, len(answers)) - 1]


def bearer(got: Got) -> str:
    """The token a request carried."""
    return got.headers["authorization"].removeprefix("Bearer ")


def test_a_call_goes_below_the_version_with_token_and_names(stub: Stub, make_client: MakeClient) -> None:
    """A call is sent to the versioned path, with the token, JSON accepted, and this client's name."""
    make_client(api_version="v61.0").send(Call(method="GET", path="query", params={"q": "SELECT Id FROM Lead"}))
    got = stub.requests[0]
    assert got.path == "/services/data/v61.0/query?q=SELECT+Id+FROM+Lead"
    assert bearer(got) == "token-1"
    assert got.headers["accept"] == "application/json"
    assert got.headers["sforce-call-options"] == f"client=airflow-provider-sfleads/{__version__}"


def test_collections_do_not_get_call_options(stub: Stub, make_client: MakeClient) -> None:
    """Sforce-Call-Options is documented for rows and queries, and not sent elsewhere."""
    make_client().send(UPSERT)
    assert "sforce-call-options" not in stub.requests[0].headers


def test_a_path_from_the_root_is_taken_verbatim(stub: Stub, make_client: MakeClient) -> None:
    """A nextRecordsUrl is followed as it came."""
    make_client().send(Call(method="GET", path="/services/data/v52.0/query/01gAAA-2000"))
    assert stub.requests[0].path == "/services/data/v52.0/query/01gAAA-2000"


def test_bodies_are_exact_utf8_json(stub: Stub, make_client: MakeClient) -> None:
    """Decimals go out as exact numbers, and text as UTF-8."""
    make_client().send(Call(method="POST", path="x", body={"Amount": Decimal("10.10"), "Name": "李😀\u2028\x85"}))
    got = stub.requests[0]
    assert b'"Amount":10.10' in got.body
    assert "李😀".encode() in got.body
    assert json.loads(got.body)["Name"] == "李😀\u2028\x85"
    assert got.headers["content-type"] == "application/json; charset=UTF-8"


@pytest.mark.parametrize("value", [float("nan"), Decimal("NaN"), float("inf"), "\ud800", object()])
def test_what_json_cannot_carry_is_refused(stub: Stub, make_client: MakeClient, value: object) -> None:
    """A NaN or half a surrogate pair is an error before anything is sent, and the message does not repeat it."""
    with pytest.raises(ParameterError, match="JSON cannot carry"):
        make_client().send(Call(method="POST", path="x", body={"Secret": value}))
    assert stub.requests == []


def test_gzip_answers_are_read(stub: Stub, make_client: MakeClient) -> None:
    """A compressed answer is unpacked."""
    stub.script = script(Say(body=gzip.compress(b'{"a":1.5}'), headers={"Content-Encoding": "gzip"}))
    assert make_client().send(READ).body == {"a": 1.5}


def test_csv_answers_stay_bytes(stub: Stub, make_client: MakeClient) -> None:
    """The bulk API's CSV is handed on unread."""
    stub.script = script(Say(body=b"Id\n1\n", headers={"Content-Type": "text/csv"}))
    assert make_client().send(READ).body == b"Id\n1\n"


def test_connections_are_kept_and_the_token_is_shared(stub: Stub, make_client: MakeClient) -> None:
    """Many calls of one thread need one TCP connection and one token."""
    client = make_client()
    for _ in range(20):
        client.send(READ)
    assert len(stub.connections) == 1
    assert (client.token_requests, client.api_calls) == (1, 20)
    assert make_client.secrets == ["token-1"]


def test_threads_share_one_first_token(stub: Stub, make_client: MakeClient) -> None:
    """Sixteen threads that start at once fetch one token, over at most one connection each."""
    client, gate = make_client(), threading.Barrier(16)

    def go(_index: int) -> int:
        gate.wait()
        return client.send(READ).status

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(go, range(16))) == [200] * 16
    assert len(stub.token_forms) == 1
    assert len(stub.connections) <= 16


@pytest.mark.parametrize("call", [READ, UPSERT, CREATE])
def test_an_expired_token_is_renewed_once_and_the_call_repeated(
    stub: Stub, make_client: MakeClient, call: Call
) -> None:
    """A 401 in mid-run costs one new token and one repeat of the very same request, even of a create."""
    stub.script = script(Say(body=[]), EXPIRED, Say(body=[1]))
    client = make_client()
    client.send(call)
    reply = client.send(call)
    assert (reply.body, reply.repeated) == ([1], False)
    assert [bearer(got) for got in stub.requests] == ["token-1", "token-1", "token-2"]
    assert stub.requests[1].body == stub.requests[2].body
    assert make_client.waits == []


def test_many_threads_with_an_expired_token_fetch_one(stub: Stub, make_client: MakeClient) -> None:
    """When every thread gets a 401 for the same token at once, one of them renews it for all."""
    client, gate = make_client(), threading.Barrier(8, timeout=60)
    client.send(READ)

    def answer(got: Got) -> Say:
        if bearer(got) == "token-1":
            gate.wait()
            return EXPIRED
        return Say(body={})

    stub.script = answer
    with ThreadPoolExecutor(8) as pool:
        assert [reply.status for reply in pool.map(client.send, [READ] * 8)] == [200] * 8
    assert len(stub.token_forms) == 2


def test_a_lasting_401_ends_after_one_renewal(stub: Stub, make_client: MakeClient) -> None:
    """A token that is refused like the one before it is a clear error, and no call asks for a third."""
    stub.script = script(EXPIRED)
    client = make_client()
    for _ in range(3):
        with pytest.raises(SessionRejectedError, match=r"just issued.*INVALID_SESSION_ID"):
            client.send(CREATE)
    assert client.token_requests == 2


@pytest.mark.parametrize("good", [3, 99], ids=["the-third-is-taken", "none-is-ever-taken"])
def test_a_token_that_others_have_used_up_is_renewed_again(stub: Stub, make_client: MakeClient, good: int) -> None:
    """What they were answered shows that it was good; a call that no token helps ends all the same."""
    client = make_client()

    def answer(got: Got) -> Say:
        if got.method == "GET" or bearer(got) == f"token-{good}":
            return Say(body=[])
        assert client.send(READ).status == 200
        return EXPIRED

    stub.script = answer
    if good == 3:
        assert client.send(CREATE).status == 200
    else:
        with pytest.raises(SessionRejectedError, match="just issued"):
            client.send(CREATE)
    assert client.token_requests == min(good, 4)


def test_a_session_unfit_for_rest_is_not_renewed(stub: Stub, make_client: MakeClient) -> None:
    """The 401 that a new token does not cure fails at once."""
    stub.script = script(refused("INVALID_SESSION_ID", "This session is not valid for use with the REST API", 401))
    with pytest.raises(SessionRejectedError, match="not for the REST API"):
        make_client().send(READ)
    assert (len(stub.requests), len(stub.token_forms)) == (1, 1)


def test_tokens_expire_more_than_once(stub: Stub, make_client: MakeClient) -> None:
    """A token that was taken and then expires is renewed again, as often as that happens."""
    stub.script = script(EXPIRED, Say(), Say(), EXPIRED, Say())
    client = make_client()
    assert [client.send(READ).status for _ in range(3)] == [200, 200, 200]
    assert client.token_requests == 3


@pytest.mark.parametrize("status", [300, 304, 400, 403, 404, 405, 409, 412, 413, 414, 431])
def test_refusals_of_a_request_are_the_callers(stub: Stub, make_client: MakeClient, status: int) -> None:
    """What Salesforce refuses as a request comes back as a reply, with its errors, after one sending."""
    body = [{"errorCode": "INVALID_FIELD", "message": "m", "fields": ["A"]}] if status != 304 else None
    stub.script = script(Say(status, body))
    reply = make_client().send(CREATE)
    assert reply.status == status
    assert [error.code for error in errors_of(reply)] == (["INVALID_FIELD"] if status >= 400 else [])
    assert len(stub.requests) == 1


NOT_BEGUN = [
    Say(429),
    Say(420),
    refused("SERVER_UNAVAILABLE", "too busy", 503),
    refused("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access"),
    refused("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", 403),
]
AMBIGUOUS = [HUNG_UP, CUT, Say(200, b"<html>", HTML), Say(500), Say(502), Say(504), Say(503, b"<html>", HTML)]


@pytest.mark.parametrize("call", [READ, UPSERT, CREATE])
@pytest.mark.parametrize("answer", NOT_BEGUN)
def test_what_was_not_begun_is_sent_again(stub: Stub, make_client: MakeClient, call: Call, answer: Say) -> None:
    """A create too is repeated where Salesforce says that it did not begin."""
    stub.script = script(answer, answer, Say(body=[]))
    reply = make_client().send(call)
    assert (reply.status, reply.repeated) == (200, False)
    assert make_client.waits == [0.5, 1.0]


@pytest.mark.parametrize("answer", AMBIGUOUS)
def test_an_ambiguous_failure_of_a_repeatable_call_is_repeated_and_told(
    stub: Stub, make_client: MakeClient, answer: Say
) -> None:
    """An upsert is sent again, and its reply says that the first sending may have counted."""
    stub.script = script(answer, Say(body=[]))
    reply = make_client().send(UPSERT)
    assert reply.repeated
    assert len(stub.requests) == 2


@pytest.mark.parametrize("answer", AMBIGUOUS)
def test_an_ambiguous_failure_of_a_create_is_never_repeated(stub: Stub, make_client: MakeClient, answer: Say) -> None:
    """A create that may have been carried out is sent once."""
    stub.script = script(answer)
    with pytest.raises(OutcomeUnknownError, match=r"sf.*Look the records up"):
        make_client().send(CREATE)
    assert len(stub.requests) == 1


def test_a_read_timeout_is_ambiguous(stub: Stub, make_client: MakeClient) -> None:
    """A create that is not answered in time is not sent again."""
    release = threading.Event()

    def answer(_got: Got) -> Say:
        release.wait(60)
        return Say()

    stub.script = answer
    with pytest.raises(OutcomeUnknownError, match="no answer in time"):
        make_client(timeout=1.0).send(CREATE)
    release.set()


@pytest.mark.parametrize("answer", AMBIGUOUS)
def test_exhausted_retries_of_a_write_leave_the_outcome_unknown(
    stub: Stub, make_client: MakeClient, answer: Say
) -> None:
    """After the last attempt of an upsert nobody knows; after that of a read nothing happened."""
    stub.script = script(answer)
    with pytest.raises(OutcomeUnknownError):
        make_client().send(UPSERT)
    assert len(stub.requests) == 5
    with pytest.raises(ServiceUnavailableError):
        make_client().send(READ)


def test_doubt_outlives_a_later_clean_failure(stub: Stub, make_client: MakeClient) -> None:
    """An upsert cut off once and refused from then on is of unknown outcome, whatever refused it."""
    for last in (
        refused("SERVER_UNAVAILABLE", status=503),
        EXPIRED,
        refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests", 403),
    ):
        stub.requests.clear()
        stub.script = script(HUNG_UP, last)
        with pytest.raises(OutcomeUnknownError):
            make_client().send(UPSERT)


def test_clean_failures_end_as_unavailable(stub: Stub, make_client: MakeClient) -> None:
    """A create that was never begun is known not to have been carried out."""
    stub.script = script(refused("SERVER_UNAVAILABLE", "busy", 503))
    with pytest.raises(ServiceUnavailableError, match=r"HTTP 503.*SERVER_UNAVAILABLE: busy"):
        make_client().send(CREATE)


def elsewhere(url: str) -> Script:
    """Give out a token whose calls go to another local address."""
    return lambda _got: Say(body={"access_token": "t", "instance_url": url})


def test_a_refused_connection_is_repeated_and_then_said(stub: Stub, make_client: MakeClient) -> None:
    """A create that could not even connect is repeated, and its failure is no unknown outcome."""
    stub.token_script = elsewhere("http://127.0.0.1:1")
    client = make_client()
    with pytest.raises(ConnectionFailedError, match=r"did not reach http://127.0.0.1:1: the connection was refused"):
        client.send(CREATE)
    assert (len(make_client.waits), client.api_calls) == (4, 0)


def test_a_failing_tls_handshake_is_known_not_to_have_sent(stub: Stub, make_client: MakeClient) -> None:
    """Bytes of a handshake are not the request: a create can be repeated, and its outcome is known."""
    stub.token_script = elsewhere(stub.url.replace("http:", "https:"))
    client = make_client()
    with pytest.raises(ConnectionFailedError, match="TLS connection failed"):
        client.send(CREATE)
    assert (len(make_client.waits), client.api_calls) == (4, 0)


def test_a_silent_tls_handshake_is_known_not_to_have_sent(stub: Stub, make_client: MakeClient) -> None:
    """A handshake that times out is a failed connection, not an unanswered request."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stub.token_script = elsewhere(f"https://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ConnectionFailedError, match="no answer in time"):
            make_client(timeout=1.0, retries=Retries(attempts=2)).send(CREATE)


def test_a_failing_proxy_is_known_not_to_have_sent(stub: Stub, make_client: MakeClient) -> None:
    """A proxy that refuses the tunnel never passed the request on."""
    stub.token_script = elsewhere("https://127.0.0.1:1")
    stub.script = script(Say(403))
    client = make_client(proxies={"https": stub.url})
    with pytest.raises(ConnectionFailedError, match="the proxy refuses"):
        client.send(CREATE)
    assert client.api_calls == 0


def test_a_proxy_whose_name_is_unknown_is_the_proxy(make_client: MakeClient) -> None:
    """Nobody is sent to the host of the connection for it, and it may come back."""
    client = make_client(proxies={"http": "http://no-proxy.invalid:3128"}, retries=Retries(attempts=1))
    with pytest.raises(ConnectionFailedError, match="the proxy refuses or does not answer"):
        client.login()


def test_waits_grow_with_full_jitter(stub: Stub, make_client: MakeClient) -> None:
    """The n-th wait is drawn from 0 to base times 2 to the n, up to the cap."""
    stub.script = script(Say(429))
    with pytest.raises(ServiceUnavailableError):
        make_client(retries=Retries(attempts=6, base=1.0, cap=10.0)).send(READ)
    assert make_client.waits == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", 7.25), ("0", 0.25), ("Tue, 14 Nov 2023 22:13:50 GMT", 30.25), ("9999", 60.0), ("soon", 0.5)],
)
def test_retry_after_is_honoured(stub: Stub, make_client: MakeClient, header: str, wait: float) -> None:
    """Seconds and dates are waited for, with some jitter on top, and never longer than the cap."""
    stub.script = script(Say(503, [{"errorCode": "SERVER_UNAVAILABLE"}], {"Retry-After": header}), Say())
    make_client().send(CREATE)
    assert make_client.waits == [wait]


def test_retries_end_with_the_time_for_them(stub: Stub, make_client: MakeClient) -> None:
    """No attempt is begun that the total time does not allow."""
    stub.script = script(Say(429, headers={"Retry-After": "50"}))
    with pytest.raises(ServiceUnavailableError):
        make_client(retries=Retries(total=120.0)).send(READ)
    assert make_client.waits == [50.25, 50.25]


EXPIRED_PASSWORD = "INVALID_OPERATION_WITH_EXPIRED_PASSWORD"
ERRORS: list[tuple[Say, type[SalesforceLeadsError], str]] = [
    (refused("API_DISABLED_FOR_ORG", "The REST API is not enabled", 403), ApiAccessError, "API Enabled"),
    (refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403), ApiLimitError, "retry in an hour"),
    (refused("UNSUPPORTED_API_VERSION", "gone", 410), RequestRefusedError, "API version 60.0"),
    (Say(410), RequestRefusedError, "API version 60.0"),
    (Say(301, headers={"Location": "https://new.my.salesforce.com/x?y"}), WrongHostError, "to new.my.salesforce.com "),
    (refused("INVALID_AUTH_HEADER", "", 401), SessionRejectedError, "INVALID_AUTH_HEADER.*Check proxies"),
    (refused(EXPIRED_PASSWORD, "Your password has expired.", 401), SessionRejectedError, "Password Never Expires"),
    (refused(EXPIRED_PASSWORD, "Ihr Kennwort ist abgelaufen.", 403), SessionRejectedError, "Password Never Expires"),
    *((refused(code, "x"), ApiLimitError, "retry in an hour") for code in ("EXCEEDEDQUOTA", "LIMIT_EXCEEDED")),
    (refused("ExceededQuota", "x"), ApiLimitError, "Bulk Data Load Jobs"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), ERRORS)
def test_what_no_retry_mends_is_raised_at_once(
    stub: Stub, make_client: MakeClient, answer: Say, kind: type[SalesforceLeadsError], words: str
) -> None:
    """Each refusal of the whole client has its own error, names the connection, and costs one request."""
    stub.script = script(answer)
    with pytest.raises(kind, match=words) as caught:
        make_client().send(CREATE)
    assert "'sf'" in str(caught.value)
    assert len(stub.requests) == 1


def test_a_security_policy_that_fails_is_waited_out_and_then_named(stub: Stub, make_client: MakeClient) -> None:
    """The org's admin can exempt the user from it."""
    stub.script = script(refused("TXN_SECURITY_RUNTIME_ERROR", "", 400))
    with pytest.raises(ServiceUnavailableError, match="exempts the Run-As user"):
        make_client().send(CREATE)
    assert len(stub.requests) == 5


def test_too_many_long_requests_end_as_a_limit(stub: Stub, make_client: MakeClient) -> None:
    """The concurrent limit is waited out, and then named as what it is."""
    stub.script = script(refused("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", 403))
    with pytest.raises(ApiLimitError, match="lower concurrency"):
        make_client().send(CREATE)
    assert len(stub.requests) == 5


def test_a_redirect_is_not_followed(stub: Stub, make_client: MakeClient) -> None:
    """No second host ever sees the Authorization header."""
    stub.script = script(Say(302, headers={"Location": f"{stub.url}/elsewhere"}))
    with pytest.raises(WrongHostError):
        make_client().send(READ)
    assert [got.path for got in stub.requests] == ["/services/data/v60.0/limits"]


def test_usage_is_read_and_stops_writes_only(stub: Stub, make_client: MakeClient) -> None:
    """Writes stop above max_api_usage, unsent; reads go on, and writes too when the share has come down."""
    usage = ["api-usage=91/100", "per-app-api-usage=1/9(appName=x); api-usage=90/100"]
    stub.script = lambda got: Say(body={}, headers={"Sforce-Limit-Info": usage[min(got.number, 2) - 1]})
    client = make_client(max_api_usage=0.9)
    client.send(UPSERT)
    assert client.api_usage == ApiUsage(91, 100)
    with pytest.raises(ApiLimitError, match=r"91 of its 100.*max_api_usage 0.9.*was not sent"):
        client.send(UPSERT)
    assert len(stub.requests) == 1
    client.send(READ)
    client.send(UPSERT)
    assert client.api_usage == ApiUsage(90, 100)


def test_listing_versions_costs_no_api_call(stub: Stub, make_client: MakeClient) -> None:
    """Neither tokens nor the list of versions count as API requests."""
    client = make_client()
    client.send(Call(method="GET", path="/services/data/"))
    assert (client.api_calls, len(stub.requests)) == (0, 1)


def test_attempts_count_as_calls(stub: Stub, make_client: MakeClient) -> None:
    """What was sent counts, answered or not."""
    stub.script = script(HUNG_UP, Say(500), Say())
    client = make_client()
    client.send(READ)
    assert client.api_calls == 3


def test_the_reply_tells_who_and_when(stub: Stub, make_client: MakeClient) -> None:
    """User, org and the server's clock are taken from what Salesforce sends anyway."""
    stub.script = script(Say(headers={"Date": "Tue, 14 Nov 2023 22:13:30 GMT"}))
    client = make_client()
    assert client.server_time_offset is None
    client.send(READ)
    assert (client.org_id, client.user_id) == ("00D5g00000AbCdEEAV", "0055g00000FgHiJAAV")


def test_messages_hold_no_values(stub: Stub, make_client: MakeClient) -> None:
    """Neither keys in the path, nor a query's text, nor Salesforce's echo of values gets into a message."""
    stub.script = script(Say(500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": "jane@example.com"}]))
    for call in (
        Call(method="GET", path="query", params={"q": "SELECT Id FROM Lead WHERE Email='jane@example.com'"}),
        Call(method="PATCH", path="sobjects/Lead/Email__c/jane@example.com", body={"x": "jane@example.com"}),
    ):
        with pytest.raises(ServiceUnavailableError) as caught:
            make_client().send(call)
        shown = f"{caught.value}{caught.value.__cause__}{caught.value.__context__}"
        assert "jane" not in shown
        assert "token-1" not in shown


def test_settings_and_client_do_not_show_the_secret(make_client: MakeClient) -> None:
    """A settings' repr can be logged."""
    client = make_client(proxies={"https": "http://user:pass-word@proxy"})
    assert "the-secret" not in repr(client.settings)
    assert "pass-word" not in repr(client.settings)


def test_a_permanent_token_failure_is_asked_for_once(stub: Stub, make_client: MakeClient) -> None:
    """Threads with a wrong secret do not fill Salesforce's login history."""
    stub.token_script = lambda _got: Say(
        400, {"error": "invalid_client", "error_description": "invalid client credentials"}
    )
    client = make_client()
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(client.send, READ) for _ in range(8)]
    assert {type(future.exception()) for future in futures} == {WrongKeyOrSecretError}
    assert client.token_requests == 1


def test_a_session_taken_by_hand_gives_the_token_to_its_org_only(stub: Stub, make_client: MakeClient) -> None:
    """Requests on the raw session carry the token to the org, and nothing to any other host."""
    client = make_client()
    client.session.get(f"{stub.url}/services/data/", timeout=30)
    client.session.get(f"http://localhost:{stub.port}/other", timeout=30)
    assert bearer(stub.requests[0]) == "token-1"
    assert "authorization" not in stub.requests[1].headers


def test_a_write_that_did_not_leave_in_time_is_not_sent(stub: Stub, make_client: MakeClient) -> None:
    """A process that slept between what it found out and the sending: it has to find out anew, and nothing has left."""
    told: list[bool] = []
    call = Call(method="POST", path="x", body={}, write=True, repeatable=False, announce=lambda: told.append(True))
    client = make_client(stale=0.0, retries=Retries(attempts=3, base=0.0))
    with pytest.raises(ConnectionFailedError):
        client.send(call)
    assert (stub.requests, told) == ([], [True] * 3)
    assert client.send(READ).status == 200
    assert make_client(stale=30.0).send(call).status == 200
