from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tests.emulator.client import Api, lead

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer


def test_the_org_s_clock_can_be_wrong(api: Api, emulator: EmulatorServer) -> None:
    """In each answer's Date, and in what leads are stamped with; once each, and from the next request on."""
    emulator.change_settings(clock_offset=600)
    reply = api.call("POST", "/composite/sobjects", json={"records": [lead()]})
    reply.raise_for_status()

    assert 595 < parsedate_to_datetime(reply.headers["Date"]).timestamp() - time.time() < 605
    made = parsedate_to_datetime(reply.headers["Date"]).strftime("%Y-%m-%dT%H:%M")
    assert emulator.leads()[0]["CreatedDate"][:15] == made[:15]
    emulator.change_settings(clock_offset=0)
    assert abs(parsedate_to_datetime(api.get("/limits").headers["Date"]).timestamp() - time.time()) < 5


def test_a_header_can_be_lost_on_the_way(api: Api, emulator: EmulatorServer) -> None:
    """As by a proxy; refusals lose it, too."""
    emulator.change_settings(withheld_headers=["date", "Sforce-Limit-Info"])

    for reply in (api.get("/limits"), api.get("/nothing/here")):
        assert not {"Date", "Sforce-Limit-Info"} & set(reply.headers)
        assert "Content-Type" in reply.headers
