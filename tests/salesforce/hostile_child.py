"""A process of its own that asks a server for things, one after the other, and tells what that took."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from typing import Any

from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.salesforce.async_client import AsyncClient
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.settings import Retries, Settings
from airflow_provider_sfleads.salesforce.wire import Call

QUICK = Retries(attempts=1)


def main(url: str, which: str, names: list[str]) -> None:
    """Ask for each name by one of the two clients, and print an account of it as JSON."""
    settings = Settings(
        host=parse_host(url), consumer_key="k", consumer_secret="s", timeout=0.5, conn_id="sf", retries=QUICK
    )
    asked = asyncio.run(_awaited(settings, names)) if which == "async" else _blocked(settings, names)
    sys.stdout.write(json.dumps(asked))


def _blocked(settings: Settings, names: list[str]) -> list[dict[str, Any]]:
    client = Client(settings)
    client.login()
    found = []
    for name in names:
        began, before = time.monotonic(), _peak()
        try:
            told = f"body {client.send(_call(name)).body!r:.40}"
        except SalesforceLeadsError as error:
            told = f"{type(error).__name__} {error}"
        found.append(_told(name, told, began, before))
    return found


async def _awaited(settings: Settings, names: list[str]) -> list[dict[str, Any]]:
    found = []
    async with AsyncClient(settings) as client:
        for name in names:
            began, before = time.monotonic(), _peak()
            try:
                told = f"body {(await client.send(_call(name))).body!r:.40}"
            except SalesforceLeadsError as error:
                told = f"{type(error).__name__} {error}"
            found.append(_told(name, told, began, before))
    return found


def _call(name: str) -> Call:
    return Call(method="GET", path=f"sobjects/{name}")


def _told(name: str, told: str, began: float, before: float) -> dict[str, Any]:
    return {"name": name, "told": told, "seconds": time.monotonic() - began, "grown": _peak() - before}


def _peak() -> float:
    """The most memory that this process has had so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10 if sys.platform != "darwin" else 1 << 20)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
