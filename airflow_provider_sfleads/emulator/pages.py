"""Pages to look at: all leads, one lead with its history, and bulk jobs."""

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

_NOT_FOUND = '<div class="card empty">There is no {0} with this id. <a href="{1}">All {0}s</a></div>'


def routes(emulator: Emulator) -> list[Route]:
    """Return the pages' routes; those below `/lightning` are where Salesforce itself shows leads, and its bulk jobs."""

    def leads(request: Request) -> str:
        return page_list.show(emulator, dict(request.query_params))

    def lead(request: Request) -> str:
        return page_lead.show(emulator, request.path_params["id"])

    def jobs(_: Request) -> str:
        return page_jobs.show(emulator)

    def job(request: Request) -> str:
        return page_jobs.show_one(emulator, request.query_params.get("address", ""))

    no_lead, no_job = _NOT_FOUND.format("lead", "/"), _NOT_FOUND.format("job", "/jobs")
    return [
        _route("/", leads, no_lead),
        _route("/lightning/o/Lead/list", leads, no_lead),
        _route("/lead/{id}", lead, no_lead),
        _route("/lightning/r/Lead/{id}/view", lead, no_lead),
        _route("/jobs", jobs, no_job),
        _route("/lightning/setup/AsyncApiJobStatus/home", jobs, no_job),
        _route(page_jobs.PAGE, job, no_job),
    ]


def _route(path: str, show: Callable[[Request], str], not_found: str) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            return HTMLResponse(await asyncio.to_thread(show, request))
        except ApiError as error:
            return HTMLResponse(page("Not found", not_found), status_code=error.status)

    return Route(path, endpoint, methods=["GET"])
