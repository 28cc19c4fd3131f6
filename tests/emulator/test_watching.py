from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.emulator.bulk import Bulk, leads_csv
from tests.emulator.client import Api, lead

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight


def test_a_watcher_sees_a_request_before_and_after_it_is_carried_out(api: Api, emulator: EmulatorServer) -> None:
    """Also where the client never gets the answer."""
    seen: list[tuple[str, bytes, int]] = []

    def watch(sight: Sight) -> None:
        seen.append((f"{sight.method} {sight.target} {sight.phase}", sight.body[:], len(emulator.leads())))

    emulator.add_fault("drop_after", path="/composite/sobjects")
    emulator.watch(watch)
    with pytest.raises(requests.ConnectionError):
        api.create(lead(LastName="Ray"))

    (before, sent, none), (after, nothing, one) = seen
    path = "POST /services/data/v60.0/composite/sobjects"
    assert (before, after) == (f"{path} arrived", f"{path} done")
    assert b"Ray" in sent
    assert (nothing, none, one) == (b"", 0, 1)


def test_a_watcher_sees_what_is_uploaded(bulk: Bulk, emulator: EmulatorServer) -> None:
    """It comes through a file."""
    seen: list[bytes] = []
    emulator.watch(lambda sight: seen.append(sight.body[:]))
    bulk.start(leads_csv("K-1"))

    assert leads_csv("K-1").encode() in seen


def test_all_tokens_ever_issued_are_told(api: Api, emulator: EmulatorServer) -> None:
    """Those that are dead, too."""
    first = api.token().json()["access_token"]
    emulator.expire_tokens()
    second = api.token().json()["access_token"]

    assert emulator.tokens_issued() == [first, second]


def test_a_job_can_be_aborted_by_hand(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Once."""
    emulator.change_settings(bulk_delay=60.0)
    job_id = bulk.start(leads_csv("K-1"))
    emulator.abort_job(job_id)

    assert bulk.info(job_id)["state"] == "Aborted"
    with pytest.raises(LookupError, match=job_id):
        emulator.abort_job(job_id)
