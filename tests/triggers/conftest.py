from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.salesforce.stub import Stub, serving


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A Salesforce that answers as the test says, and the connection ``sf`` that leads there."""
    with serving() as running:
        connection = {"conn_type": "salesforce_leads", "host": running.url, "login": "k", "password": "the-secret"}
        monkeypatch.setenv("AIRFLOW_CONN_SF", json.dumps(connection))
        yield running


@pytest.fixture(autouse=True)
def _no_handover(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker has to be gone before a trigger fires: none has been there."""
    monkeypatch.setattr("airflow_provider_sfleads.triggers.bulk._HANDOVER", 0.0)
