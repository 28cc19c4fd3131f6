from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING

from airflow_provider_sfleads.salesforce.connection import IDLE, TrackedConnection
from airflow_provider_sfleads.salesforce.wire import Call

if TYPE_CHECKING:
    import pytest

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
