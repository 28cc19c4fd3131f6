"""A client of the emulator that the root's `emulator` fixture runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.bulk import Bulk
from tests.emulator.client import Api

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer


@pytest.fixture
def api(emulator: EmulatorServer) -> Api:
    """A client with a token."""
    return Api(emulator).login()


@pytest.fixture
def bulk(api: Api) -> Bulk:
    """A client that runs Bulk API 2.0 jobs."""
    return Bulk(api)
