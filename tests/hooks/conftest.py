from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from tests.salesforce.stub import Stub, serving

MakeHook = Callable[..., SalesforceLeadsHook]


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A Salesforce that answers as the test says."""
    with serving() as running:
        yield running


@pytest.fixture
def make_hook(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHook]:
    """Make hooks of an Airflow connection to the stub; arguments replace the connection's fields."""
    hooks: list[SalesforceLeadsHook] = []

    def make(*, method: str = "GET", **fields: object) -> SalesforceLeadsHook:
        connection = {
            "conn_type": "salesforce_leads",
            "host": stub.url,
            "login": "the-consumer-key",
            "password": "the-consumer-secret",
            **fields,
        }
        monkeypatch.setenv("AIRFLOW_CONN_SF", json.dumps(connection))
        hooks.append(SalesforceLeadsHook("sf", method=method))
        return hooks[-1]

    yield make
    for hook in hooks:
        if hook._client is not None:
            hook._client.close()
