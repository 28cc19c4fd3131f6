from __future__ import annotations

import socket
import time

from airflow_provider_sfleads.transport.sockets import IDLE, AccountedConnection


def test_a_connection_that_rested_long_is_not_used_again() -> None:
    """A firewall may have forgotten it, and a create must not be the one to find out."""
    here, there = socket.socketpair()
    with here, there:
        connection = AccountedConnection("127.0.0.1")
        connection.sock = here
        connection.used = time.monotonic()
        assert connection.is_connected
        connection.used -= IDLE
        assert not connection.is_connected
