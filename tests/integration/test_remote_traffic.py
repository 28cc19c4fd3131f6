# ruff: noqa: TID253 - a test is no Dag file
"""What a sync sends to an object storage that holds its results, and has back from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings
from airflow_provider_sfleads.exports import FileExport
from tests.counting_proxy import Counted, counting_proxy
from tests.integration.support import Task, creating, moving

if TYPE_CHECKING:
    from tests.s3 import Lake

ROWS = 40_000


@pytest.fixture
def export(tmp_path: Path) -> FileExport:
    """A Parquet file of many leads."""
    number = pa.array(range(1, ROWS + 1)).cast(pa.string())

    def text(*parts: pa.Array | str) -> pa.Array:
        return pc.binary_join_element_wise(*parts, "")

    columns = {
        "key": text("K-", pc.utf8_lpad(number, width=7, padding="0")),
        "last": text("Person ", pc.utf8_reverse(number)),
        "company": text("Company ", pc.utf8_slice_codeunits(number, -3), " GmbH & Co. KG"),
        "email": text("lead", number, "@example.com"),
        "score": pa.array([number % 10_000 / 100 for number in range(ROWS)]),
    }
    pq.write_table(pa.table(columns), tmp_path / "export.parquet")
    return FileExport(str(tmp_path / "export.parquet"))


@pytest.fixture
def counted(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    """What goes to the lake, and comes from it."""
    at = urlsplit(lake.endpoint)
    with counting_proxy(str(at.hostname), int(at.port or 80)) as proxy:
        by_proxy = replace(lake, endpoint=f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv(f"AIRFLOW_CONN_{lake.conn_id.upper()}", by_proxy.connection)
        yield proxy


@pytest.mark.parametrize("kind", ["create", "stage"])
def test_rows_go_up_once_and_packed_and_do_not_come_back(
    lake: Lake, counted: Counted, export: FileExport, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a process has staged, it reads from copies of its own; a look-up reads it several times."""
    with EmulatorServer(EmulatorSettings(counting=True, virtual_leads=ROWS)) as emulator:
        connection = {"conn_type": "salesforce_leads", "host": emulator.url, "login": "emulator-key"}
        monkeypatch.setenv(
            "AIRFLOW_CONN_SALESFORCE_LEADS_DEFAULT", json.dumps({**connection, "password": "emulator-secret"})
        )
        fields = {"last": "LastName", "company": "Company", "email": "Email", "score": "Lead_Score__c"}
        operator = (
            creating(export, f"{lake.url}/r", api="bulk", existing="update", fields=fields)
            if kind == "create"
            else moving(export, f"{lake.url}/r", api="bulk")
        )
        report = Task("r").run(operator).full
    size = Path(export.path).stat().st_size
    assert (report["read"], report["api"]) == (ROWS, "bulk")
    assert counted.up <= 1.5 * size, f"{counted.up:,} bytes for an export of {size:,}: {counted.requests}"
    assert counted.down <= size, f"{counted.down:,} bytes for an export of {size:,}: {counted.requests}"
