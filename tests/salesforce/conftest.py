from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest

from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.settings import Settings
from tests.salesforce.stub import Stub, serving


class MakeClient(Protocol):
    """Makes a client of the stub; ``waits`` and ``secrets`` collect what it sleeps and what it masks."""

    waits: list[float]
    secrets: list[str]

    def __call__(self, **settings: object) -> Client:
        """Make a client; ``settings`` replace those of the stub."""


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A Salesforce that answers as the test says."""
    with serving() as running:
        yield running


class _Make:
    def __init__(self, url: str) -> None:
        self.url = url
        self.waits: list[float] = []
        self.secrets: list[str] = []
        self.made: list[Client] = []

    def __call__(self, **settings: object) -> Client:
        values: dict[str, object] = {
            "host": parse_host(self.url),
            "consumer_key": "the-key",
            "consumer_secret": "the-secret",
            "timeout": 30.0,
            "conn_id": "sf",
        }
        client = Client(
            Settings(**{**values, **settings}),  # type: ignore[arg-type]
            sleep=self.waits.append,
            random=lambda: 0.5,
            now=lambda: 1_700_000_000.0,
            clock=lambda: sum(self.waits),
            on_secret=self.secrets.append,
        )
        self.made.append(client)
        return client


@pytest.fixture
def make_client(stub: Stub) -> Iterator[MakeClient]:
    """Make clients that never really sleep."""
    make = _Make(stub.url)
    yield make
    for client in make.made:
        client.close()
