from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

Connect = Callable[..., str]


@pytest.fixture
def connect(emulator: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Defines the default connection: the emulator's, with some fields another way."""

    def define(**changes: Any) -> str:
        fields = {
            "conn_type": "salesforce_leads",
            "host": emulator.url,
            "login": "emulator-key",
            "password": "emulator-secret",
            **changes,
        }
        monkeypatch.setenv("AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT", json.dumps(fields))
        return "salesforce_leads_default"

    return define


@pytest.fixture(autouse=True)
def _no_handover(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triggers in this process fire at once: ``DAG.test`` has no executor that could misunderstand them."""
    monkeypatch.setattr("airflow_provider_sfleads.triggers.bulk._HANDOVER", 0.0)
