from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING

import pytest
from requests import PreparedRequest

from airflow_provider_sfleads.salesforce.connection import IDLE, Adapter, TrackedConnection
from airflow_provider_sfleads.salesforce.wire import Call

if TYPE_CHECKING:
    from tests.salesforce.conftest import MakeClient


def test_a_connection_that_rested_long_is_not_used_again() -> None:
    """A firewall may have forgotten it, and a create must not be the one to find out."""
    here, there = socket.socketpair()
    with here, there:
        connection = TrackedConnection("127.0.0.1")
        connection.sock = here
        connection.used = time.monotonic()
        assert connection.is_connected
        connection.used -= IDLE
        assert not connection.is_connected


def test_a_debug_log_holds_no_query(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    """Airflow's level DEBUG has urllib3 write down every request; look-ups name people."""
    call = Call(method="GET", path="query", params={"q": "SELECT Id FROM Lead WHERE Email IN ('ray@acme.example')"})
    with caplog.at_level(logging.DEBUG):
        make_client().send(call)
    said = [record.getMessage() for record in caplog.records if record.name == "urllib3.connectionpool"]
    assert any("/services/data/v60.0/query" in line for line in said)
    assert not [line for line in said if "acme" in line or "SELECT" in line]


@pytest.mark.parametrize(
    ("proxies", "expected"),
    [
        ({}, ("/services/data/v60.0/query", "?q=a,'b'")),
        ({"http": "http://p:1"}, ("http://org.example/services/data/v60.0/query", "?q=a,'b'")),
        ({"http": "socks5://p:1"}, ("/services/data/v60.0/query?q=a,'b'", "")),
    ],
    ids=["direct", "proxy", "socks"],
)
def test_a_query_is_kept_back_only_where_our_connection_sends_it(
    proxies: dict[str, str], expected: tuple[str, str]
) -> None:
    """A SOCKS proxy has connections of its own, which know nothing of a query that is kept back."""
    request = PreparedRequest()
    request.prepare("GET", "http://org.example/services/data/v60.0/query")
    request.url = f"{request.url}?q=a,'b'"
    here, there = socket.socketpair()
    with here, there:
        connection = TrackedConnection("127.0.0.1")
        connection.sock = here
        told = Adapter().request_url(request, proxies)
        connection.request("GET", told)
        line = there.recv(1000).split(b"\r\n")[0].decode()
    assert (told, line) == (expected[0], f"GET {''.join(expected)} HTTP/1.1")
