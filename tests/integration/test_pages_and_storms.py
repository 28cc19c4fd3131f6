"""Page by page: what is known is recorded at once, and an overloaded org is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.in_flight import peak
from tests.integration.support import (
    Task,
    creating,
    is_write,
    killed_at_write,
    people,
    run,
    wait_for,
    writes,
)
from tests.integration.test_unknown_outcomes import AT_ONCE, plain

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

KEYED = {"external_id_field": "External_Id__c"}

pytestmark = pytest.mark.usefixtures("salesforce_conn")


@pytest.mark.parametrize(
    "how",
    [{"existing": "update", **KEYED}, {"existing": "skip", **KEYED}, {"external_id_field": None}],
    ids=["upsert", "unique", "plain"],
)
def test_a_retry_after_a_kill_sends_only_what_was_open(
    emulator: EmulatorServer, tmp_path: Path, how: dict[str, Any]
) -> None:
    """What a page came to is recorded as soon as it is known, also where sending it again would be harmless."""
    import pyarrow.parquet as pq

    task = Task()
    # What comes back within a moment is made durable together.
    emulator.change_settings(latency_ms=250)
    how = {**how, "api": "collections", "concurrency": 1}
    killed_at_write(creating(people(4_000), tmp_path, **how), task, emulator, 5)
    recorded = sum(pq.read_metadata(part).num_rows for part in tmp_path.rglob("results-*.parquet"))
    assert 2 * 200 <= recorded < 4_000
    # What the killed worker had sent is carried out by now, or never will be.
    assert wait_for(lambda: not emulator.emulator.journal._open)
    sent = len(writes(emulator))
    ran = task.run(plain(people(4_000), tmp_path, late=AT_ONCE, **how))

    assert (ran.error, ran.counts) == (None, {"created": 4_000})
    assert sum(request["records"] for request in writes(emulator)[sent:]) <= 4_000 - recorded
    assert emulator.stats()["leads"] == 4_000


def test_a_storm_slows_a_sync_down_and_no_row_is_lost(emulator: EmulatorServer, tmp_path: Path) -> None:
    """While Salesforce is overloaded, ever fewer requests are in flight; afterwards the sync goes on as before."""
    emulator.change_settings(latency_ms=20)
    emulator.add_fault("html_503", method="POST", path="/composite/sobjects", times=12)
    ran = run(creating(people(4_000), tmp_path, api="collections", batch_size=50, concurrency=8))

    assert (ran.error, ran.counts) == (None, {"created": 4_000})
    requests = [request for request in emulator.requests() if is_write(request)]
    storm = [request for request in requests if request["fault"]]
    assert len(storm) == 12
    assert peak(requests) > 2
    assert peak(storm[-3:]) <= 2
