from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.emulator.client import Api, code, lead

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

CREATE = {"method": "POST", "path": "/composite/sobjects$"}


def post(api: Api, *names: str) -> requests.Response:
    """Create leads of these names."""
    return api.call("POST", "/composite/sobjects", json={"records": [lead(LastName=name) for name in names]})


@pytest.mark.parametrize(("effect", "kept"), [("drop_before", 0), ("drop_after", 1)])
def test_a_dropped_connection_has_no_answer(api: Api, emulator: EmulatorServer, effect: str, kept: int) -> None:
    """The client sees a lost connection; whether the lead was written depends on when it was lost."""
    emulator.add_fault(effect, path="/composite/sobjects", nth=1)
    with pytest.raises(requests.ConnectionError, match="Remote end closed connection"):
        post(api, "Ray")

    assert len(emulator.leads()) == kept
    assert emulator.requests()[-1]["status"] == 0
    assert emulator.requests()[-1]["fault"] == effect
    assert post(api, "Poe").status_code == 200


def test_a_connection_can_be_lost_before_the_commit_that_still_comes(api: Api, emulator: EmulatorServer) -> None:
    """As when Salesforce goes on working after the client has given up."""
    emulator.add_fault("drop_then_commit", path="/composite/sobjects", nth=1, seconds=2.0)
    with pytest.raises(requests.ConnectionError):
        post(api, "Ray")
    assert emulator.leads() == []

    deadline = time.monotonic() + 60
    while not emulator.leads() and time.monotonic() < deadline:
        emulator.stats()
    assert len(emulator.leads()) == 1


def test_a_truncated_reply_breaks_off(api: Api, emulator: EmulatorServer) -> None:
    """After the commit."""
    emulator.add_fault("truncate", path="/composite/sobjects", times=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        post(api, "Ray")

    assert len(emulator.leads()) == 1


def test_answers_can_be_put_in_place_of_the_resource(api: Api, emulator: EmulatorServer) -> None:
    """429 with Retry-After, an HTML maintenance page, a dead session, a refused page; then all is well."""
    emulator.add_fault("status", status=429, reply=[{"errorCode": "X", "message": "slow down"}], nth=1,
                       headers={"Retry-After": "7"}, **CREATE)  # fmt: skip
    emulator.add_fault("html_503", nth=1, **CREATE)
    emulator.add_fault("invalid_session", nth=1, **CREATE)
    emulator.add_fault("bad_request", nth=1, **CREATE)
    replies = [post(api, "Ray") for _ in range(5)]

    assert [reply.status_code for reply in replies] == [429, 503, 401, 400, 200]
    assert replies[0].headers["Retry-After"] == "7"
    assert replies[1].headers["Content-Type"].startswith("text/html")
    assert replies[2].json()[0]["errorCode"] == "INVALID_SESSION_ID"
    assert len(emulator.leads()) == 1
    assert [rule["hits"] for rule in emulator.faults()] == [1, 1, 1, 1]


def test_a_bad_request_can_be_tied_to_one_record(api: Api, emulator: EmulatorServer) -> None:
    """Only requests whose body holds it are refused, so a client can find the culprit by halves."""
    emulator.add_fault("bad_request", body="poison")

    assert post(api, "Ray", "poison").status_code == 400
    assert post(api, "Ray").status_code == 200


def test_a_record_can_be_locked_for_some_tries(api: Api, emulator: EmulatorServer) -> None:
    """Its neighbours are written."""
    emulator.add_fault("lock", key="^L-[13]$", count=2)
    records = [lead(External_Id__c=f"L-{number}") for number in (1, 2, 3)]
    tries = [[code(outcome) for outcome in api.upsert("External_Id__c", *records)] for _ in range(3)]

    assert tries == [
        ["UNABLE_TO_LOCK_ROW", "ok", "UNABLE_TO_LOCK_ROW"],
        ["UNABLE_TO_LOCK_ROW", "ok", "UNABLE_TO_LOCK_ROW"],
        ["ok", "ok", "ok"],
    ]


def test_chance_is_repeatable(api: Api, emulator: EmulatorServer) -> None:
    """The same seed makes the same requests fail."""

    def run() -> list[int]:
        emulator.clear_faults()
        emulator.add_fault("html_503", path="/limits", probability=0.5, seed=3)
        return [api.get("/limits").status_code for _ in range(12)]

    first = run()
    assert set(first) == {200, 503}
    assert run() == first


def test_a_delay_comes_on_top(api: Api, emulator: EmulatorServer) -> None:
    """For the requests that match."""
    emulator.add_fault("delay", path="/limits", seconds=0.2, nth=1)
    api.get("/limits")
    api.get("/limits")

    slow, quick = emulator.requests()[-2:]
    assert slow["ended"] - slow["started"] >= 0.19
    assert (slow["fault"], quick["fault"]) == ("delay", None)


def test_an_unknown_effect_or_attribute_is_refused(emulator: EmulatorServer) -> None:
    """The message lists what there is."""
    with pytest.raises(ValueError, match="drop_after"):
        emulator.add_fault("explode")
    with pytest.raises(ValueError, match="probability"):
        emulator.add_fault("delay", sometimes=True)


def test_latency_runs_from_arrival_and_requests_overlap(emulator: EmulatorServer) -> None:
    """Four at once take as long as one; the log knows how many were open together."""
    emulator.change_settings(latency_ms=200)
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda _: Api(emulator).login().get("/limits").status_code, range(4)))
    assert replies == [200] * 4

    limits = [entry for entry in emulator.requests() if entry["path"].endswith("/limits")]
    assert all(entry["ended"] - entry["started"] >= 0.19 for entry in limits)
    assert emulator.stats()["peak_concurrency"] == 4


def test_an_upsert_that_loses_a_race_meets_the_unique_field(api: Api, emulator: EmulatorServer) -> None:
    """It does not find the lead so many times; an upsert whose lead is not there is none of them."""
    emulator.add_fault("race", key="^L-[12]$", count=2)
    one = lead(External_Id__c="L-1")
    assert code(api.upsert("External_Id__c", one)[0]) == "ok"
    holder = emulator.leads()[0]["Id"]
    for _ in range(2):
        taken, new = api.upsert("External_Id__c", one, lead(External_Id__c="L-9"))
        assert (code(taken), code(new)) == ("DUPLICATE_VALUE", "ok")
        assert taken["errors"][0]["message"].endswith(f"External_Id__c duplicates value on record with id: {holder}")
        assert taken["errors"][0]["fields"] == []
    single = api.call("PATCH", "/sobjects/Lead/External_Id__c/L-1", json={"LastName": "New"})
    assert single.status_code in (200, 204)
    assert [fault["hits"] for fault in emulator.faults()] == [2]
    assert len(emulator.leads()) == 2
