"""Other clients sending the same export, each in a process of its own: ``python -m benchmarks._peer``.

Nothing is asked of them that they do not do: no mapping, no checks, and of the results they only count who was created
and who failed. What they leave to their caller - to read Parquet, to write CSV - pyarrow does.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from benchmarks._measure import measured
from benchmarks._task import EXTERNAL_ID, FIELDS, idle_task

_VERSION = "60.0"
_OFFICIAL = "airflow.providers.salesforce.operators.bulk"
_COLUMNS = [EXTERNAL_ID, *FIELDS.values()]


class _Local(HTTPAdapter):
    """Takes requests that have to be https ones to a server of this machine."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Keep path and query, change where they go."""
        _, slash, rest = (request.url or "").removeprefix("https://").partition("/")
        request.url = self._url + slash + rest
        return super().send(request, *args, **kwargs)


def _session(url: str) -> requests.Session:
    session = requests.Session()
    session.mount("https://", _Local(url))
    return session


def _table(export: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow.parquet as pq

    return pq.read_table(export).rename_columns(_COLUMNS)


def simple_salesforce(export: Path, url: str, *, by_file: bool) -> dict[str, int]:
    """``bulk2`` of simple-salesforce, given dicts or a CSV file."""
    from simple_salesforce.api import Salesforce

    client: Any = Salesforce(
        domain="acme.my",
        consumer_key="emulator-key",
        consumer_secret="emulator-secret",  # noqa: S106 - the emulator's
        version=_VERSION,
        session=_session(url),
    )
    lead = client.bulk2.Lead
    with tempfile.TemporaryDirectory() as folder:
        given: dict[str, Any]
        if by_file:
            import pyarrow.csv as pa_csv

            given = {"csv_file": f"{folder}/leads.csv"}
            pa_csv.write_csv(_table(export), given["csv_file"], pa_csv.WriteOptions(quoting_style="needed"))
        else:
            given = {"records": _table(export).to_pylist()}
        jobs = lead.upsert(external_id_field=EXTERNAL_ID, wait=1, **given)
    created = failed = 0
    for job in jobs:
        created += sum(row["sf__Created"] == "true" for row in _rows(lead.get_successful_records(job["job_id"])))
        failed += sum(1 for _ in _rows(lead.get_failed_records(job["job_id"])))
    return {"created": created, "failed": failed}


def _rows(text: str) -> csv.DictReader[str]:
    return csv.DictReader(io.StringIO(text))


def official(export: Path, url: str) -> dict[str, int]:
    """``SalesforceBulkOperator``, without the XCom that it makes of all its results."""
    bulk: Any = import_module(_OFFICIAL)
    extra = {"instance_url": "https://acme.my.salesforce.com", "version": _VERSION}
    os.environ["AIRFLOW_CONN_SALESFORCE_DEFAULT"] = json.dumps({"conn_type": "salesforce", "extra": extra})
    # Its hook takes a session, which the operator has no parameter for.
    bulk.SalesforceHook = partial(bulk.SalesforceHook, session_id="token", session=_session(url))
    create = bulk.SalesforceBulkOperator(
        task_id="create",
        operation="upsert",
        object_name="Lead",
        external_id_field=EXTERNAL_ID,
        payload=_table(export).to_pylist(),
    )
    results = create.execute({})
    return {"created": sum(row["created"] for row in results), "failed": sum(not row["success"] for row in results)}


_CLIENTS: dict[str, tuple[str, Callable[[Path, str], dict[str, int]]]] = {
    "records": ("simple_salesforce", partial(simple_salesforce, by_file=False)),
    "csv_file": ("simple_salesforce", partial(simple_salesforce, by_file=True)),
    "official": (_OFFICIAL, official),
}


def main() -> None:
    """Measure one client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", choices=_CLIENTS)
    parser.add_argument("export", type=Path)
    parser.add_argument("url")
    args = parser.parse_args()
    module, send = _CLIENTS[args.client]
    with idle_task(module):
        measured(lambda: send(args.export, args.url), ("pyarrow.csv", "pyarrow.parquet"))


if __name__ == "__main__":
    main()
