"""What every request passes: the log, faults, the session, limits, latency, and its answer."""

from __future__ import annotations

import asyncio
import gzip
import logging
import zlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from airflow_provider_sfleads.emulator.faults import Fault, bad_request_body
from airflow_provider_sfleads.emulator.journal import Entry
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.oauth import check_session, session_expired
from airflow_provider_sfleads.emulator.replies import Dropped, Streamed, Truncated
from airflow_provider_sfleads.emulator.spool import searchable, spool
from airflow_provider_sfleads.emulator.watching import Sight
from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply, not_found

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_provider_sfleads.emulator.state import Emulator

log = logging.getLogger(__name__)

Handler = Callable[[Call], Reply]

MAX_URI = 16_384
_WORTH_COMPRESSING = 1024
_MAINTENANCE = (
    "<html><head><title>Salesforce - Maintenance</title></head>"
    "<body><h1>We are down for maintenance.</h1></body></html>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A path and what it does by method.

    `open` resources need no session and count nothing; the bodies of `large` ones go through a file.
    """

    template: str
    handlers: Mapping[str, Handler]
    open: bool = False
    large: bool = False


class Gate:
    """Serves the resources of one emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def serve(self, request: Request, resource: Resource) -> Response:
        """Return the answer to one request, `latency_ms` after it arrived."""
        loop = asyncio.get_running_loop()
        arrived = loop.time()
        started = self._emulator.clock()
        number = self._emulator.journal.begin()
        large = self._emulator.jobs.folder / f"request-{number}.part" if resource.large else None
        fault: Fault | None = None
        reply = Reply(status=0)
        try:
            body = await self._body(request, large)
            target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            with nullcontext(body) if large is None else searchable(large) as found:
                fault = self._emulator.faults.pick(request.method, target, found)
                sight = Sight(number=number, method=request.method, target=target, body=found, phase="arrived")
                self._show(sight)
            if fault is not None and fault.effect == "drop_then_commit":
                await Dropped()(request.scope, request.receive, _no_send)
            reply = await self._answer(request, resource, (number, body, large), fault)
            self._show(replace(sight, body=b"", phase="done"))
            late = fault.seconds if fault is not None and fault.effect == "delay" else 0.0
            await asyncio.sleep(max(0.0, arrived + self._emulator.settings.latency_ms / 1000 - loop.time()) + late)
            return self._response(request, reply, fault)
        except ClientDisconnect:
            # The client left before its request was whole: there is nobody to answer.
            return Response()
        finally:
            if large is not None:
                large.unlink(missing_ok=True)
            gone = fault is not None and fault.effect.startswith("drop")
            self._emulator.journal.end(
                Entry(
                    number=number,
                    method=request.method,
                    path=request.url.path,
                    query=request.url.query,
                    route=resource.template,
                    status=0 if gone else reply.status,
                    records=reply.records,
                    started=started,
                    ended=self._emulator.clock(),
                    fault=fault.effect if fault else None,
                )
            )

    def _show(self, sight: Sight) -> None:
        for watcher in tuple(self._emulator.watchers):
            watcher(sight)

    async def _body(self, request: Request, large: Path | None) -> bytes:
        if large is None:
            return await request.body()
        await spool(request, large)
        return b""

    async def _answer(
        self, request: Request, resource: Resource, arrived: tuple[int, bytes, Path | None], fault: Fault | None
    ) -> Reply:
        number, body, large = arrived
        refused = _instead(fault)
        if refused is not None:
            return refused
        if fault is not None and fault.effect == "drop_then_commit":
            await asyncio.sleep(fault.seconds)
        call = Call(
            emulator=self._emulator,
            number=number,
            method=request.method,
            path=request.url.path,
            template=resource.template,
            params=request.path_params,
            query=dict(request.query_params),
            headers=dict(request.headers),
            body=body,
            allowed=tuple(resource.handlers),
            upload=large,
            base_url=str(request.base_url).rstrip("/"),
        )
        too_long = _too_long(request)
        if too_long is not None:
            return too_long
        # In a thread, so that a slow write does not keep other requests from being read.
        return await asyncio.to_thread(self._handle, call, resource)

    def _handle(self, call: Call, resource: Resource) -> Reply:
        try:
            if not resource.open:
                self._admit(call)
            handler = resource.handlers.get(call.method, _refuse_method)
            reply = handler(_unpacked(call))
        except ApiError as error:
            reply = Reply(status=error.status, body=error.body, headers=error.headers)
        except Exception:
            log.exception("The emulator failed on %s %s", call.method, call.path)
            message = "An unexpected error occurred. Please include this ErrorId if you contact support: emulator"
            reply = Reply(status=500, body=[{"errorCode": "UNKNOWN_EXCEPTION", "message": message}])
        if resource.open or reply.status == HTTPStatus.UNAUTHORIZED:
            # Without a session there is no org to count for.
            return reply
        usage = f"api-usage={self._emulator.journal.api_used}/{self._emulator.settings.api_limit}"
        headers = {**reply.headers, "Sforce-Limit-Info": usage}
        return replace(reply, headers=headers)

    def _admit(self, call: Call) -> None:
        settings = self._emulator.settings
        check_session(call)
        if not self._emulator.permissions.api:
            message = "The REST API is not enabled for this Organization."
            raise ApiError("API_DISABLED_FOR_ORG", message, status=403)
        if not self._emulator.journal.use_api(settings.api_limit):
            raise ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)
        version = call.params.get("version")
        if version is not None:
            _check_version(version, settings.versions)

    def _response(self, request: Request, reply: Reply, fault: Fault | None) -> Response:
        accepts = "gzip" in request.headers.get("accept-encoding", "") and self._emulator.settings.gzip_replies
        if reply.stream is not None:
            return _streamed(reply, fault, gzipped=accepts)
        content, media_type = reply.encoded()
        headers = dict(reply.headers)
        if accepts and len(content) > _WORTH_COMPRESSING:
            content = gzip.compress(content, compresslevel=1)
            headers["Content-Encoding"] = "gzip"
        if media_type:
            headers.setdefault("Content-Type", media_type)
        if fault is not None and fault.effect.startswith("drop"):
            return Dropped()
        kind = Truncated if fault is not None and fault.effect == "truncate" else Response
        return kind(content, status_code=reply.status, headers=headers)


def _streamed(reply: Reply, fault: Fault | None, *, gzipped: bool) -> Response:
    if reply.stream is None or (fault is not None and fault.effect.startswith("drop")):
        return Dropped()
    cut = fault is not None and fault.effect == "truncate"
    return Streamed(reply.stream, headers=dict(reply.headers), gzipped=gzipped, cut=cut)


async def _no_send(_message: Json) -> None:
    """Take nothing: the connection is gone."""


def _instead(fault: Fault | None) -> Reply | None:
    """Return what a fault answers in place of the resource."""
    if fault is None:
        return None
    answers = {
        "drop_before": (0, None),
        "html_503": (503, _MAINTENANCE),
        "status": (fault.status, fault.reply),
        "bad_request": (400, bad_request_body(fault)),
        "invalid_session": (401, session_expired().body),
    }
    if fault.effect not in answers:
        return None
    status, body = answers[fault.effect]
    return Reply(status=status, body=body, headers=fault.headers)


def _too_long(request: Request) -> Reply | None:
    raw_path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    uri = len(raw_path) + len(request.scope["query_string"]) + bool(request.scope["query_string"])
    headers = sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers.raw)
    if uri > MAX_URI:
        return Reply(status=414, body="<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>")
    if uri + headers > MAX_URI:
        return Reply(status=431, body="<h1>Bad Message 431</h1><pre>reason: Request Header Fields Too Large</pre>")
    return None


def _unpacked(call: Call) -> Call:
    if call.headers.get("content-encoding", "").lower() != "gzip":
        return call
    try:
        return replace(call, body=gzip.decompress(call.body))
    except (OSError, EOFError, zlib.error):
        raise ApiError("JSON_PARSER_ERROR", "The request body is not the gzip that its header says") from None


def _refuse_method(call: Call) -> Reply:
    allowed = ",".join(sorted(call.allowed))
    message = f"HTTP Method '{call.method}' not allowed. Allowed are {allowed}"
    raise ApiError("METHOD_NOT_ALLOWED", message, status=405, headers={"Allow": allowed})


def _check_version(version: str, served: tuple[str, ...]) -> None:
    if version in served:
        return
    try:
        number = float(version)
    except ValueError:
        raise not_found() from None
    if number < float(served[0]):
        raise ApiError("UNSUPPORTED_API_VERSION", "The requested API version is retired or unsupported", status=410)
    raise not_found()
