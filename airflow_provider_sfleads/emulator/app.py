"""The ASGI application: Salesforce's paths, the control API and the page to look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_sfleads.emulator import (
    bulk_ingest,
    bulk_query,
    control,
    describe,
    identity,
    oauth,
    pages,
    query,
    resources,
    rows,
    sobject_collections,
)
from airflow_provider_sfleads.emulator.gate import Gate, Resource
from airflow_provider_sfleads.emulator.stamped import Stamped
from airflow_provider_sfleads.emulator.state import Emulator
from airflow_provider_sfleads.emulator.wire import Call, Reply, not_found

_DATA = "/services/data/v{version}"


def _nothing(_call: Call) -> Reply:
    raise not_found()


_ANY = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"), _nothing)

RESOURCES: tuple[Resource, ...] = (
    Resource(template="/services/oauth2/token", handlers={"POST": oauth.token}, open=True),
    Resource(template="/services/oauth2/introspect", handlers={"POST": oauth.introspect}, open=True),
    Resource(template="/services/oauth2/revoke", handlers={"POST": oauth.revoke, "GET": oauth.revoke}, open=True),
    Resource(
        template="/services/oauth2/userinfo",
        handlers={"GET": oauth.userinfo, "POST": oauth.userinfo},
        open=True,
    ),
    Resource(template="/id/{org}/{user}", handlers={"GET": identity.show}, open=True),
    Resource(template="/services/data", handlers={"GET": resources.versions}, open=True),
    Resource(template=_DATA, handlers={"GET": resources.resources}),
    Resource(template=f"{_DATA}/limits", handlers={"GET": resources.limits}),
    Resource(template=f"{_DATA}/query", handlers={"GET": query.run}),
    Resource(template=f"{_DATA}/queryAll", handlers={"GET": query.run}),
    Resource(template=f"{_DATA}/query/{{locator}}", handlers={"GET": query.more}),
    Resource(template=f"{_DATA}/sobjects", handlers={"GET": describe.everything}),
    Resource(template=f"{_DATA}/sobjects/{{sobject}}", handlers={"GET": describe.basic, "POST": rows.create}),
    Resource(template=f"{_DATA}/sobjects/{{sobject}}/describe", handlers={"GET": describe.lead}),
    Resource(template=f"{_DATA}/sobjects/{{sobject}}/Id", handlers={"POST": rows.create}),
    Resource(
        template=f"{_DATA}/sobjects/{{sobject}}/{{id}}",
        handlers={"GET": rows.show, "PATCH": rows.update, "DELETE": rows.delete},
    ),
    Resource(
        template=f"{_DATA}/sobjects/{{sobject}}/{{field}}/{{value:path}}",
        handlers={"GET": rows.show_by_key, "PATCH": rows.upsert, "DELETE": rows.delete_by_key},
    ),
    Resource(
        template=f"{_DATA}/composite/sobjects",
        handlers={
            "POST": sobject_collections.create,
            "PATCH": sobject_collections.update,
            "DELETE": sobject_collections.delete,
        },
    ),
    Resource(
        template=f"{_DATA}/composite/sobjects/{{sobject}}",
        handlers={"GET": sobject_collections.retrieve, "POST": sobject_collections.retrieve_by_body},
    ),
    Resource(
        template=f"{_DATA}/composite/sobjects/{{sobject}}/{{field}}",
        handlers={"PATCH": sobject_collections.upsert},
    ),
    Resource(
        template=f"{_DATA}/jobs/ingest",
        handlers={"GET": bulk_ingest.list_all, "POST": bulk_ingest.create},
    ),
    Resource(
        template=f"{_DATA}/jobs/ingest/{{id}}",
        handlers={"GET": bulk_ingest.show, "PATCH": bulk_ingest.change, "DELETE": bulk_ingest.delete},
    ),
    Resource(template=f"{_DATA}/jobs/ingest/{{id}}/batches", handlers={"PUT": bulk_ingest.upload}, large=True),
    Resource(template=f"{_DATA}/jobs/ingest/{{id}}/{{kind}}", handlers={"GET": bulk_ingest.results}),
    Resource(template=f"{_DATA}/jobs/query", handlers={"GET": bulk_query.list_all, "POST": bulk_query.create}),
    Resource(
        template=f"{_DATA}/jobs/query/{{id}}",
        handlers={"GET": bulk_query.show, "PATCH": bulk_query.change, "DELETE": bulk_query.delete},
    ),
    Resource(template=f"{_DATA}/jobs/query/{{id}}/results", handlers={"GET": bulk_query.results}),
    Resource(template="/services/{rest:path}", handlers=_ANY),
)

_METHODS = list(_ANY)


def _routes(resource: Resource, gate: Gate) -> list[Route]:
    async def endpoint(request: Request) -> Response:
        return await gate.serve(request, resource)

    paths = [resource.template]
    if not resource.template.endswith(":path}"):
        paths.append(resource.template + "/")
    return [Route(path, endpoint, methods=_METHODS) for path in paths]


Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(emulator: Emulator) -> Starlette:
    """Return the application that serves this emulator."""
    gate = Gate(emulator)
    routes = [route for resource in RESOURCES for route in _routes(resource, gate)]
    return Starlette(
        routes=[*routes, *control.routes(emulator), *pages.routes(emulator)],
        middleware=[Middleware(Stamped, emulator=emulator)],
    )
