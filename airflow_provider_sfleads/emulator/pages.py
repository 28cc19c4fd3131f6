"""Pages to look at: all leads, one lead with its history, and all bulk jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from airflow_provider_sfleads.emulator import page_jobs, page_lead, page_list
from airflow_provider_sfleads.emulator.html import page
from airflow_provider_sfleads.emulator.state import Emulator
from airflow_provider_sfleads.emulator.wire import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request

_NOT_FOUND = '<div class="card empty">There is no lead with this id. <a href="/">All leads</a></div>'


def routes(emulator: Emulator) -> list[Route]:
    """The pages' routes; those below `/lightning` are where Salesforce itself shows a lead, and its bulk jobs."""
    return [
        _route("/", lambda request: page_list.show(emulator, dict(request.query_params))),
        _route("/jobs", lambda _: page_jobs.show(emulator)),
        _route("/lightning/setup/AsyncApiJobStatus/page", lambda _: page_jobs.show(emulator)),
        _route("/lead/{id}", lambda request: page_lead.show(emulator, request.path_params["id"])),
        _route("/lightning/r/Lead/{id}/view", lambda request: page_lead.show(emulator, request.path_params["id"])),
    ]


def _route(path: str, show: Callable[[Request], str]) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return HTMLResponse(await asyncio.to_thread(show, request))
        except ApiError as error:
            return HTMLResponse(page("Not found", _NOT_FOUND), status_code=error.status)

    return Route(path, endpoint, methods=["GET"])
