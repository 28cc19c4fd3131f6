from __future__ import annotations

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, redact

from airflow_provider_sfleads.exceptions import (
    ConnectionFieldError,
    LeadAccessError,
    OutcomeUnknownError,
    ParameterError,
    RequestRefusedError,
    SalesforceLeadsError,
    WrongKeyOrSecretError,
)
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.salesforce.replies import RecordResult
from tests.salesforce.stub import EXPIRED, Got, Say, refused

if TYPE_CHECKING:
    from tests.hooks.conftest import MakeHook
    from tests.salesforce.stub import Stub

LEAD = "00Q5g00000AbCdEEAV"
DESCRIBE = {"name": "Lead", "createable": True, "updateable": True, "fields": []}


def records_of(got: Got) -> list[dict[str, Any]]:
    """The records of a collections request."""
    records: list[dict[str, Any]] = json.loads(got.body)["records"]
    return records


def accept(got: Got) -> Say:
    """Take every record; its number in the name makes its id."""
    results = [
        {"id": f"00Q{int(item['LastName']):012}", "success": True, "created": True, "errors": []}
        for item in records_of(got)
    ]
    return Say(body=results)


def test_the_connection_is_read_once(make_hook: MakeHook, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first call the connection is not asked for again, by any thread."""
    hook = make_hook()
    with ThreadPoolExecutor(8) as pool:
        clients = set(pool.map(lambda _index: hook.client, range(8)))
    monkeypatch.delenv("AIRFLOW_CONN_SF")
    assert clients == {hook.client}
    assert hook.limits() == {}


def test_airflow_makes_the_hook_of_a_connection(stub: Stub, make_hook: MakeHook) -> None:
    """The names that Airflow's registry goes by fit the constructor."""
    make_hook()
    hook = SalesforceLeadsHook(**{SalesforceLeadsHook.conn_name_attr: "sf"})
    hook.limits()
    assert len(stub.requests) == 1
    hook.client.close()
    assert SalesforceLeadsHook().salesforce_conn_id == "salesforce_leads_default"


CA_FILE = certifi.where()
CA_FOLDER = str(Path(CA_FILE).parent)
EXTRA = {
    "api_version": "v61.0",
    "timeout": "7",
    "max_api_usage": "0.5",
    "verify": None,
    "proxies": None,
    "secret_note": "LEAKME",
    "n": 5,
}


def test_extras_are_settings_and_never_headers(stub: Stub, make_hook: MakeHook) -> None:
    """Strings of a form are read, nulls are unset, unknown extras go nowhere."""
    hook = make_hook(extra=EXTRA)
    settings = hook.client.settings
    assert (settings.api_version, settings.timeout, settings.max_api_usage) == ("61.0", 7.0, 0.5)
    assert (settings.verify, settings.proxies, settings.conn_id) == (True, None, "sf")
    hook.limits()
    hook.run("services/data/v61.0/limits")
    hook.get_conn().get(f"{stub.url}/services/data/", timeout=30)
    for got in stub.requests:
        assert "LEAKME" not in str(got)
        assert {"timeout", "n", "api_version"}.isdisjoint(got.headers)
        assert got.headers["authorization"] == "Bearer token-1"


@pytest.mark.parametrize("version", ["60.0", "v60.0", 60, None])
def test_versions_in_any_spelling(make_hook: MakeHook, version: object) -> None:
    """Both spellings of a version, and numbers, mean the same."""
    assert make_hook(extra={"api_version": version}).client.settings.api_version == "60.0"


def test_all_that_is_wrong_with_a_connection_is_said_at_once(make_hook: MakeHook) -> None:
    """One error lists every field, and fails a task without retry."""
    extra = {"api_version": "sixty", "timeout": 0, "max_api_usage": 150, "verify": 5, "proxies": ["x"]}
    with pytest.raises(ConnectionFieldError) as caught:
        make_hook(host="acme.lightning.force.com", login="", password=None, extra=extra).limits()
    text = str(caught.value)
    words = [
        "'sf'",
        "acme.my.salesforce.com",
        "Login",
        "Password",
        "api_version",
        "timeout",
        "max_api_usage",
        "verify",
        "proxies",
    ]
    assert [word for word in words if word not in text] == []
    assert isinstance(caught.value, AirflowFailException)


@pytest.mark.parametrize(
    ("given", "share"),
    [
        *[(given, 0.9) for given in ("90", "90%", " 90 % ", 90, 90.0, "0.9", 0.9, ".9", "0.90", None, "", "  ")],
        *[("1%", 0.01), ("0.5%", 0.005), ("2", 0.02), ("100", 1.0), ("100%", 1.0), ("1", 1.0), (1, 1.0), (0, 0.0)],
    ],
    ids=repr,
)
def test_a_ceiling_is_a_percentage_or_a_share(make_hook: MakeHook, given: object, share: float) -> None:
    """As people write it; what is above 1 cannot be a share."""
    assert make_hook(extra={"max_api_usage": given}).client.settings.max_api_usage == share


@pytest.mark.parametrize(
    "given",
    ["150", 150, "101%", "-1", -1, "-5%", "abc", "0,9", "%", "90%%", "1.5", 1.01, True, [90], "nan", "inf", "9_0"],
    ids=repr,
)
def test_a_ceiling_that_is_none_is_said_and_never_replaced(make_hook: MakeHook, given: object) -> None:
    """By the Test button and by the task alike, with what to enter."""
    hook = make_hook(extra={"max_api_usage": given})
    works, said = hook.test_connection()
    assert not works
    assert "API usage ceiling" in said
    assert "such as 90%" in said
    with pytest.raises(ConnectionFieldError, match="API usage ceiling"):
        hook.limits()


@pytest.mark.parametrize(
    "given", ["900", 601, "0", "-5", "60s", "1,5", "abc", True, [60], "nan", "inf", "6_0"], ids=repr
)
def test_a_timeout_that_is_none_is_said_and_never_replaced(make_hook: MakeHook, given: object) -> None:
    """Likewise."""
    with pytest.raises(ConnectionFieldError, match="timeout must be a number of seconds above 0 and up to 600"):
        make_hook(extra={"timeout": given}).limits()


@pytest.mark.parametrize("given", ["no", "off", "0", "yes", "fasle", 0, 1], ids=repr)
def test_a_switch_that_is_none_is_said(make_hook: MakeHook, given: object) -> None:
    """A word that is neither true nor false is no name of a file that somebody has to look for."""
    with pytest.raises(ConnectionFieldError, match="verify must be true, false, or the path of a CA bundle"):
        make_hook(extra={"verify": given}).limits()


@pytest.mark.parametrize("extra", ["[1]", "{", '"x"'])
def test_an_extra_that_is_no_object_is_said(make_hook: MakeHook, extra: str) -> None:
    """The extra must be a JSON object."""
    with pytest.raises(ConnectionFieldError, match="Extra is not a JSON object"):
        make_hook(extra=extra).limits()


@pytest.mark.parametrize(
    "given",
    [
        *["false", "no", "0", 0, True, ["http://p:1"], "{'https': 'http://p:1'}", {"https": ""}, {"https": None}],
        *[{"htps": "http://p:1"}, {"HTTPS": "http://p:1"}, {"no_proxy": "acme"}, {"https": "ftp://p:1"}],
        *["http://", "http://p:99999", "http://p:abc", "http://p q:1", "http://[::1", "p"],
    ],
    ids=repr,
)
def test_proxies_that_are_none_are_said(make_hook: MakeHook, given: object) -> None:
    """Of a key that nobody looks up nothing would be heard: the request would go out without the proxy."""
    with pytest.raises(ConnectionFieldError, match="proxies must be an object of URLs by scheme"):
        make_hook(extra={"proxies": given}).limits()


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (" p:3128 ", {"http": "http://p:3128", "https": "http://p:3128"}),
        ({"https": "u:pw@p:1", "all://acme": "socks5h://p"}, {"https": "http://u:pw@p:1", "all://acme": "socks5h://p"}),
        ('{"https": "http://p"}', {"https": "http://p"}),
        ({}, None),
    ],
    ids=repr,
)
def test_proxies_are_urls_by_scheme(make_hook: MakeHook, given: object, read: object) -> None:
    """Also without a scheme of their own, so that a password in one is known as one."""
    assert make_hook(extra={"proxies": given}).client.settings.proxies == read


@pytest.mark.parametrize("name", ["none.pem", "hosts.pem", "60.0"])
def test_a_bundle_that_cannot_be_read_is_said(make_hook: MakeHook, tmp_path: Path, name: str) -> None:
    """By the Test button and by the task alike, and not by whatever requests and aiohttp make of it."""
    (tmp_path / "hosts.pem").write_text("127.0.0.1 localhost")
    hook = make_hook(extra={"verify": str(tmp_path / name) if name.endswith("pem") else name})
    works, said = hook.test_connection()
    assert not works
    assert "verify must be true, false, or the path of a CA bundle" in said
    with pytest.raises(ConnectionFieldError, match="is none that can be read on this machine"):
        hook.limits()


@pytest.mark.parametrize("flow", ["password", "s3cret-of-somebody", True, ["client_credentials"]], ids=repr)
def test_another_flow_is_refused(make_hook: MakeHook, flow: object) -> None:
    """The token that comes is never one of another flow than somebody asked for."""
    make_hook(extra={"auth": " client_credentials "}).limits()
    with pytest.raises(ConnectionFieldError, match="auth must be client_credentials or jwt_bearer") as caught:
        make_hook(extra={"auth": flow}).limits()
    assert ("no flow 'password' here" in str(caught.value)) == (flow == "password")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("verify", "read"), [("false", False), (" True ", True), (CA_FILE, CA_FILE), (CA_FOLDER, CA_FOLDER), (False, False)]
)
def test_verify_is_a_switch_or_a_file(make_hook: MakeHook, verify: object, read: object) -> None:
    """As in HttpHook, and as text."""
    assert make_hook(extra={"verify": verify}).client.settings.verify == read


def test_secret_and_tokens_are_masked(stub: Stub, make_hook: MakeHook) -> None:
    """Airflow's log masker knows the consumer secret, proxy passwords and every token."""
    del stub
    hook = make_hook(extra={"proxies": {"https": "http://user:proxy-password@127.0.0.1:3128"}})
    hook.limits()
    assert redact("the-consumer-secret token-1 proxy-password") == "*** *** ***"


def test_query_streams_over_pages(stub: Stub, make_hook: MakeHook) -> None:
    """Pages are asked for as they are needed, by nextRecordsUrl as it came; attributes are taken off."""
    following = "/services/data/v60.0/query/01g000000000001-2000"
    row = {"attributes": {"type": "Lead"}, "Id": LEAD}
    stub.script = lambda got: Say(
        body={"done": False, "nextRecordsUrl": following, "records": [row]}
        if "?q=" in got.path
        else {"done": True, "records": [row, row]}
    )
    found = make_hook().query("SELECT Id FROM Lead WHERE Name='a&b'", include_deleted=True)
    assert stub.requests == []
    assert next(found) == {"Id": LEAD}
    assert len(stub.requests) == 1
    assert list(found) == [{"Id": LEAD}] * 2
    assert [got.path for got in stub.requests] == [
        "/services/data/v60.0/queryAll?q=SELECT+Id+FROM+Lead+WHERE+Name%3D'a%26b'",
        following,
    ]


def test_a_refused_query_fails_without_retry_and_shows_no_values(stub: Stub, make_hook: MakeHook) -> None:
    """The generator's errors are marked too."""
    stub.script = lambda _got: refused("MALFORMED_QUERY", "WHERE Email = 'jane@x.org'")
    with pytest.raises(RequestRefusedError, match="MALFORMED_QUERY") as caught:
        list(make_hook().query("SELECT"))
    assert isinstance(caught.value, AirflowFailException)
    assert (caught.value.status, caught.value.codes) == (400, ("MALFORMED_QUERY",))
    assert "jane" not in str(caught.value)


@pytest.mark.parametrize("count", [0, 1, 200, 201, 450])
def test_create_returns_one_result_per_record_in_order(stub: Stub, make_hook: MakeHook, count: int) -> None:
    """Any number of records goes out in pages of 200, and the last of them arrives."""
    stub.script = accept
    results = make_hook().create(({"LastName": str(number)} for number in range(count)), assignment_rule=None)
    assert [int((result.id or "")[3:15]) for result in results] == list(range(count))
    assert [len(records_of(got)) for got in stub.requests] == [200] * (count // 200) + [count % 200] * bool(count % 200)


@pytest.mark.parametrize(
    ("rule", "header"), [("default", "TRUE"), (None, "FALSE"), ("01Q5g00000AbCdEEAV", "01Q5g00000AbCdEEAV")]
)
def test_assignment_rules_are_always_said(stub: Stub, make_hook: MakeHook, rule: str | None, header: str) -> None:
    """Salesforce runs the active rule where nothing is said, so it always is."""
    stub.script = accept
    make_hook().create([{"LastName": "1"}], assignment_rule=rule, duplicates="allow")
    assert stub.requests[0].headers["sforce-auto-assign"] == header
    assert stub.requests[0].headers["sforce-duplicate-rule-header"] == "allowSave=true"


def test_updates_do_not_reassign(stub: Stub, make_hook: MakeHook) -> None:
    """Update and upsert run no rule unless asked to; both go to their own resources."""
    stub.script = accept
    hook = make_hook()
    hook.update([{"id": LEAD, "LastName": "1"}])
    hook.upsert([{"Ext__c": "a", "LastName": "1"}], "Ext__c")
    assert [(got.method, got.path.partition("v60.0/")[2]) for got in stub.requests] == [
        ("PATCH", "composite/sobjects"),
        ("PATCH", "composite/sobjects/Lead/Ext__c"),
    ]
    assert {got.headers["sforce-auto-assign"] for got in stub.requests} == {"FALSE"}
    assert json.loads(stub.requests[0].body)["allOrNone"] is False


def test_a_refused_record_is_a_result(stub: Stub, make_hook: MakeHook) -> None:
    """Its neighbours are not taken down."""
    error = {"statusCode": "STRING_TOO_LONG", "message": "m", "fields": ["Company"]}
    stub.script = lambda _got: Say(body=[{"success": False, "errors": [error]}, {"id": LEAD, "success": True}])
    bad, good = make_hook().create([{}, {}])
    assert (bad.success, bad.errors[0].code, good) == (
        False,
        "STRING_TOO_LONG",
        RecordResult(LEAD, success=True, created=None),
    )


def test_a_create_of_unknown_outcome_keeps_the_results_before_it(stub: Stub, make_hook: MakeHook) -> None:
    """It is not sent again, and the error carries what is known."""
    stub.script = lambda got: accept(got) if got.number == 1 else Say(hang_up=True)
    with pytest.raises(OutcomeUnknownError) as caught:
        make_hook().create(({"LastName": str(number)} for number in range(5)), batch_size=2)
    assert [result.success for result in caught.value.__dict__["results"]] == [True, True]
    assert not isinstance(caught.value, AirflowFailException)
    assert len(stub.requests) == 2


def test_a_refused_page_names_the_code(stub: Stub, make_hook: MakeHook) -> None:
    """A request that is refused as a whole is an error with Salesforce's codes."""
    stub.script = lambda _got: refused("INVALID_FIELD", "No such column 'X' on sobject of type Lead")
    with pytest.raises(RequestRefusedError, match="No such column 'X'"):
        make_hook().update([{"id": LEAD, "X": 1}])


def test_get_reads_by_id_in_order(stub: Stub, make_hook: MakeHook) -> None:
    """2,000 ids a request; a lead that is not there is None."""
    stub.script = lambda got: Say(
        body=[None, *({"attributes": {}, "Id": one} for one in json.loads(got.body)["ids"][1:])]
    )
    found = make_hook().get([str(number) for number in range(2001)], ["Id"])
    assert len(found) == 2001
    assert (found[0], found[1999], found[2000]) == (None, {"Id": "1999"}, None)
    assert len(stub.requests) == 2


@pytest.mark.parametrize("name", ["", "Lead/../x", "Lead?", "1"])
def test_names_that_change_the_path_are_refused(make_hook: MakeHook, name: str) -> None:
    """An object's name stays in its place in the path."""
    with pytest.raises(ParameterError):
        make_hook().describe(name)


@pytest.mark.parametrize("size", [0, 201])
def test_batch_sizes_have_limits(make_hook: MakeHook, size: int) -> None:
    """Salesforce takes 200 records a request."""
    with pytest.raises(ParameterError, match="1 to 200"):
        make_hook().create([{}], batch_size=size)


def test_run_is_http_hooks_run(stub: Stub, make_hook: MakeHook) -> None:
    """Parameters, forms, JSON and headers go out as HttpHook sends them, with renewal and over one connection."""
    stub.script = lambda got: EXPIRED if got.number == 1 else Say(body={"n": got.number})
    hook = make_hook()
    assert hook.run("services/data/v60.0/query", {"q": "SELECT Id FROM Lead"}).json() == {"n": 2}
    hook.method = "POST"
    hook.run("/x", data={"a": "b c"}, headers={"X-One": 1}, extra_options={"timeout": 5})
    hook.run("x", json={"a": 1}, params={"p": "q"})
    assert stub.requests[1].path == "/services/data/v60.0/query?q=SELECT+Id+FROM+Lead"
    assert (stub.requests[2].path, stub.requests[2].body, stub.requests[2].headers["x-one"]) == ("/x", b"a=b+c", "1")
    assert (stub.requests[3].path, stub.requests[3].body) == ("/x?p=q", b'{"a":1}')
    assert len(stub.connections) == 1


def test_run_checks_the_response_unless_told_not_to(stub: Stub, make_hook: MakeHook) -> None:
    """One unchecked call does not make the next one unchecked."""
    stub.script = lambda _got: refused("NOT_FOUND", "The requested resource does not exist", 404)
    hook = make_hook()
    assert hook.run("x", extra_options={"check_response": False}).status_code == 404
    with pytest.raises(RequestRefusedError, match="HTTP 404: NOT_FOUND"):
        hook.run("x")


@pytest.mark.parametrize(
    "arguments",
    [
        {"endpoint": "https://evil.example/x"},
        {"extra_options": {"verify": False}},
        {"extra_options": {"timeout": -1}},
        {"files": {}},
    ],
)
def test_run_refuses_what_it_cannot_honour(make_hook: MakeHook, arguments: dict[str, Any]) -> None:
    """Nothing is ignored in silence, and no other host is called."""
    with pytest.raises(ParameterError):
        make_hook().run(**arguments)


def test_a_url_is_below_the_checked_host(stub: Stub, make_hook: MakeHook) -> None:
    """HttpHook's helper follows this connection type's host rule."""
    assert make_hook().url_from_endpoint("a/b") == f"{stub.url}/a/b"
    assert make_hook(host="acme.my.salesforce.com").url_from_endpoint("/a") == "https://acme.my.salesforce.com/a"


def test_a_session_with_own_headers_is_refused(make_hook: MakeHook) -> None:
    """The session is shared by all."""
    with pytest.raises(ParameterError):
        make_hook().get_conn({"X": "y"})


def test_the_test_button_says_who_and_how_much(stub: Stub, make_hook: MakeHook) -> None:
    """Success names host, user, org, version and usage."""
    stub.script = lambda _got: Say(body=DESCRIBE, headers={"Sforce-Limit-Info": "api-usage=18/5000"})
    good, text = make_hook().test_connection()
    assert good
    for words in (stub.url, "0055g00000FgHiJAAV", "00D5g00000AbCdEEAV", "60.0", "18 of 5000"):
        assert words in text


def oauth(error: str, description: str) -> Say:
    """Return a token error."""
    return Say(400, {"error": error, "error_description": description})


VERSIONS = Say(body=[{"version": "59.0"}, {"version": "68.0"}])
FINDINGS: list[tuple[Say | None, Say, str]] = [
    (oauth("invalid_client_id", "client identifier invalid"), Say(), "consumer key"),
    (oauth("invalid_client", "invalid client credentials"), Say(), "consumer secret"),
    (oauth("invalid_grant", "no client credentials user enabled"), Say(), "Run As user, by username.*API Enabled"),
    (Say(404, b"<html>"), Say(), "no Salesforce token endpoint"),
    (None, refused("API_DISABLED_FOR_ORG", "not enabled", 403), "API Enabled"),
    (None, refused("NOT_FOUND", "The requested resource does not exist", 404), "cannot see the Lead object"),
    (None, refused("INSUFFICIENT_ACCESS", "x", 403), "cannot see the Lead object"),
    (None, Say(body={**DESCRIBE, "createable": False}), "not create"),
    (None, Say(410), "API version 60.0"),
    (None, EXPIRED, "just issued"),
]


@pytest.mark.parametrize(("token", "call", "words"), FINDINGS)
def test_the_test_button_tells_the_causes_apart(
    stub: Stub, make_hook: MakeHook, token: Say | None, call: Say, words: str
) -> None:
    """Wrong host, key or secret, flow, API access, access to Lead: each is said, never raised."""
    stub.token_script = None if token is None else lambda _got: token
    stub.script = lambda _got: call
    good, text = make_hook().test_connection()
    assert not good
    assert re.search(words, text)
    assert "the-consumer-secret" not in text


def test_the_test_button_knows_a_version_that_is_not_offered(stub: Stub, make_hook: MakeHook) -> None:
    """A 404 for the version is not taken for missing access."""
    stub.script = lambda got: VERSIONS if got.path == "/services/data/" else Say(404, [{"errorCode": "NOT_FOUND"}])
    good, text = make_hook(extra={"api_version": "70.0"}).test_connection()
    assert not good
    assert "offers 59.0 to 68.0" in text


def test_the_test_button_survives_a_missing_connection() -> None:
    """Even that is an answer, not an exception."""
    good, text = SalesforceLeadsHook("is_not_there").test_connection()
    assert not good
    assert "There is no Airflow connection 'is_not_there'" in text


def test_no_access_to_lead_has_its_error(stub: Stub, make_hook: MakeHook) -> None:
    """Describe of Lead says what the Run-As user lacks."""
    stub.script = lambda _got: refused("NOT_FOUND", "The requested resource does not exist", 404)
    with pytest.raises(LeadAccessError, match="permission set"):
        make_hook().describe()


def test_a_permanent_error_fails_the_task_and_a_passing_one_does_not(stub: Stub, make_hook: MakeHook) -> None:
    """Airflow decides by class, which is added to the error's own."""
    stub.token_script = lambda _got: oauth("invalid_client", "invalid client credentials")
    with pytest.raises(WrongKeyOrSecretError) as caught:
        make_hook().limits()
    assert isinstance(caught.value, AirflowFailException)
    stub.token_script = None
    stub.script = lambda _got: refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", 403)
    with pytest.raises(SalesforceLeadsError) as limit:
        make_hook().limits()
    assert not isinstance(limit.value, AirflowFailException)


def test_importing_the_hook_loads_nothing_heavy() -> None:
    """A Dag file that imports it does not wait for data libraries that HttpHook has not loaded anyway."""
    code = """
import sys
import airflow.providers.http.hooks.http
before = set(sys.modules)
import airflow_provider_sfleads.hooks.salesforce
heavy = {"pandas", "pyarrow", "duckdb", "numpy", "polars", "fsspec"}
print(sorted(heavy & {name.partition(".")[0] for name in set(sys.modules) - before}))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip().splitlines()[-1] == "[]"
