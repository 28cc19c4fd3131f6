"""The control API below `/_emulator/`: what tests and demos do to the emulated org."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from airflow_provider_sfleads.emulator import sales
from airflow_provider_sfleads.emulator.faults import Fault
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.state import Emulator
from airflow_provider_sfleads.emulator.wire import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request

Action = Callable[[Emulator, Mapping[str, str], Any], Any]

PREFIX = "/_emulator"


def _reset(emulator: Emulator, _args: Mapping[str, str], _body: Json) -> Json:
    emulator.reset()
    return {"reset": True}


def _settings(emulator: Emulator, _args: Mapping[str, str], _body: Json) -> Json:
    return emulator.settings.to_json()


def _change_settings(emulator: Emulator, _args: Mapping[str, str], body: Json) -> Json:
    return emulator.change_settings(body).to_json()


def _stats(emulator: Emulator, _args: Mapping[str, str], _body: Json) -> Json:
    return emulator.stats()


def _requests(emulator: Emulator, args: Mapping[str, str], _body: Json) -> Json:
    return emulator.journal.entries(int(args.get("last", 1000)))


def _leads(emulator: Emulator, args: Mapping[str, str], _body: Json) -> Json:
    return sales.list_leads(emulator, include_deleted=args.get("include_deleted") == "true")


def _seed(emulator: Emulator, _args: Mapping[str, str], body: Json) -> Json:
    return {"ids": sales.seed(emulator, body)}


def _lead(emulator: Emulator, args: Mapping[str, str], _body: Json) -> Json:
    return sales.get_lead(emulator, args["id"])


def _edit(emulator: Emulator, args: Mapping[str, str], body: Json) -> Json:
    sales.edit(emulator, args["id"], body)
    return sales.get_lead(emulator, args["id"])


def _convert(emulator: Emulator, args: Mapping[str, str], _body: Json) -> Json:
    return {"contact_id": sales.convert(emulator, args["id"])}


def _delete(emulator: Emulator, args: Mapping[str, str], _body: Json) -> Json:
    sales.delete(emulator, args["id"])
    return {"deleted": True}


def _history(emulator: Emulator, args: Mapping[str, str], _body: Json) -> Json:
    return sales.history(emulator, args.get("id"))


def _contacts(emulator: Emulator, _args: Mapping[str, str], body: Json) -> Json:
    return {"ids": sales.seed_contacts(emulator, body)}


def _faults(emulator: Emulator, _args: Mapping[str, str], _body: Json) -> Json:
    return emulator.faults.to_json()


def _add_fault(emulator: Emulator, _args: Mapping[str, str], body: Json) -> Json:
    return {"id": emulator.faults.add(Fault.from_json(body))}


def _clear_faults(emulator: Emulator, args: Mapping[str, str], _body: Json) -> Json:
    emulator.faults.clear(int(args["id"]) if "id" in args else None)
    return emulator.faults.to_json()


def _expire(emulator: Emulator, _args: Mapping[str, str], _body: Json) -> Json:
    emulator.tokens.expire()
    return {"expired": True}


def _jobs(emulator: Emulator, _args: Mapping[str, str], _body: Json) -> Json:
    return [job.summary() for job in emulator.jobs.all()]


def _finish_jobs(emulator: Emulator, args: Mapping[str, str], body: Json) -> Json:
    emulator.worker.finish()
    return _jobs(emulator, args, body)


def _fail_job(emulator: Emulator, args: Mapping[str, str], body: Json) -> Json:
    emulator.worker.fail(args["id"], (body or {}).get("message", "InternalServerError : The job was failed by hand"))
    return {"failed": True}


def _usage(emulator: Emulator, _args: Mapping[str, str], body: Json) -> Json:
    emulator.journal.api_used = int(body["used"])
    return {"used": emulator.journal.api_used}


ACTIONS: tuple[tuple[str, str, Action], ...] = (
    ("POST", "/reset", _reset),
    ("GET", "/settings", _settings),
    ("PATCH", "/settings", _change_settings),
    ("GET", "/stats", _stats),
    ("GET", "/requests", _requests),
    ("GET", "/leads", _leads),
    ("POST", "/leads", _seed),
    ("GET", "/leads/{id}", _lead),
    ("PATCH", "/leads/{id}", _edit),
    ("DELETE", "/leads/{id}", _delete),
    ("POST", "/leads/{id}/convert", _convert),
    ("GET", "/leads/{id}/history", _history),
    ("GET", "/history", _history),
    ("POST", "/contacts", _contacts),
    ("GET", "/faults", _faults),
    ("POST", "/faults", _add_fault),
    ("DELETE", "/faults", _clear_faults),
    ("DELETE", "/faults/{id:int}", _clear_faults),
    ("POST", "/tokens/expire", _expire),
    ("POST", "/usage", _usage),
    ("GET", "/jobs", _jobs),
    ("POST", "/jobs/finish", _finish_jobs),
    ("POST", "/jobs/{id}/fail", _fail_job),
)


def routes(emulator: Emulator) -> list[Route]:
    """Return a route per action."""
    return [_route(emulator, method, path, action) for method, path, action in ACTIONS]


def _route(emulator: Emulator, method: str, path: str, action: Action) -> Route:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        args = {**request.query_params, **{name: str(v) for name, v in request.path_params.items()}}
        try:
            body = json.loads(raw) if raw else None
            return JSONResponse(await asyncio.to_thread(action, emulator, args, body))
        except ApiError as error:
            return JSONResponse(error.body, status_code=error.status)
        except (ValueError, TypeError, LookupError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=400)

    return Route(PREFIX + path, endpoint, methods=[method])
