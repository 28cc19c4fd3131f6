"""The Airflow plugin: the "Lead syncs" page and the routes it asks.

Every program of Airflow loads it, so nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_sfleads.operators.links import PAGE
from airflow_provider_sfleads.version_compat import script_address

#: Where the routes are, below Airflow's own address.
PREFIX = "/sfleads"

_NAME = "Lead syncs"
# Relative, since Airflow may itself be served below some path.
_STATIC = f"{PREFIX.removeprefix('/')}/static"
_BUNDLE = script_address(f"{_STATIC}/lead-syncs.js")
# An image of its own for each mode: Airflow shows them as <img>, which takes on no colour of the text around it.
_ICONS = {"icon": f"{_STATIC}/icon.svg", "icon_dark_mode": f"{_STATIC}/icon-dark.svg"}


class _WhenAsked:
    """The routes, loaded with the first request: only the API server ever gets one."""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        from airflow_provider_sfleads.ui.app import app

        await app(scope, receive, send)


def _view(destination: str, url_route: str, **more: str) -> dict[str, str]:
    return {"name": _NAME, "bundle_url": _BUNDLE, "destination": destination, "url_route": url_route, **_ICONS, **more}


class SalesforceLeadsPlugin(AirflowPlugin):
    """What the provider adds to Airflow's UI: a page, and the same as a tab of a Dag, a Dag run and a task instance."""

    name = "salesforce_leads"
    fastapi_apps: list[Any] = [{"app": _WhenAsked(), "url_prefix": PREFIX, "name": _NAME}]  # noqa: RUF012 - as Airflow has it
    react_apps: list[Any] = [  # noqa: RUF012 - as Airflow has it
        _view("nav", PAGE.rpartition("/")[2], category="browse"),
        _view("dag", "lead-syncs-of-dag"),
        _view("dag_run", "lead-syncs-of-run"),
        _view("task_instance", "lead-syncs-of-task"),
    ]
