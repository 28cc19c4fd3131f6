from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.notifications.inboxes import Channel, Mailbox, channel, mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    """A channel, to which the connection ``slack`` leads."""
    with channel() as opened:
        monkeypatch.setenv("AIRFLOW_CONN_SLACK", opened.connection)
        yield opened


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server, to which SMTP's default connection leads."""
    with mailbox() as opened:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", opened.connection)
        yield opened
