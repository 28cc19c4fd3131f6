"""Which API versions an org offers (REST API Developer Guide, "Versions")."""

from __future__ import annotations

import re

from airflow_provider_sfleads.salesforce.wire import Call

_VERSION = re.compile(r"\d{2,3}\.\d", re.ASCII)


def versions_call() -> Call:
    """Ask for the list; it costs no API request."""
    return Call(method="GET", path="/services/data/")


def offered_in(body: object) -> list[str]:
    """Return the versions on a list, oldest first; what has not the form of one is left out."""
    items = body if isinstance(body, list) else []
    named = (item.get("version") for item in items if isinstance(item, dict))
    return sorted((name for name in named if isinstance(name, str) and _VERSION.fullmatch(name)), key=float)
