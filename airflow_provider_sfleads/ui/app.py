"""Serve the routes behind the page; each of them asks Airflow who the user is."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import unquote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from airflow.models.dag import DagModel
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import AfterValidator

from airflow_provider_sfleads.core.report import how_often, live_total
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.results.files import REJECTS
from airflow_provider_sfleads.results.folder import DRY_RUN, ResultsFolder
from airflow_provider_sfleads.results.part_rows import Wanted
from airflow_provider_sfleads.ui import download, syncs
from airflow_provider_sfleads.ui.task_results import (
    NoResultsError,
    TaskKey,
    executions_of,
    history_of,
    page_of,
    written_report,
)

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

_log = logging.getLogger(__name__)
_STATIC = Path(__file__).parent / "static"
_TASK = "/api/dags/{dag_id}/runs/{run_id}/tasks/{task_id}"
# Personal data stays in no cache, and is what it says it is.
_PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
# What a user has to be allowed to read to see a Dag's syncs, and their rows: who may read XComs, and not the runs that
# they are of, would learn here which runs there are.
_RUNS = (None, DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE)
_ROWS = (*_RUNS, DagAccessEntity.XCOM)


def _may_see_rows(dag_id: str, user: GetUserDep) -> None:
    """Guard a route with a ``dag_id`` in its path: the Dag's rows are for this user."""
    if not _may_get(user, dag_id, _ROWS):
        # In the same words whether there is such a Dag or none.
        raise HTTPException(403, "Forbidden")


def _may_get(user: BaseUser, dag_id: str, entities: Iterable[DagAccessEntity | None]) -> bool:
    manager, details = get_auth_manager(), DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return all(
        manager.is_authorized_dag(method="GET", access_entity=entity, details=details, user=user) for entity in entities
    )


def _as_moment(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"the year is to be between {_FIRST_YEAR} and {_LAST_YEAR}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_Time = Annotated[datetime, AfterValidator(_as_moment)]


def _can_be_asked(request: Request) -> None:
    """Refuse what no database can look for, in words."""
    if any("\0" in text for text in (*request.path_params.values(), *request.query_params.values())):
        raise HTTPException(422, "A parameter holds a NUL character.")


def _private(response: Response) -> None:
    response.headers.update(_PRIVATE)


# Documentation would be open to everybody: no dependency guards it.
app = FastAPI(dependencies=[Depends(get_user), Depends(_can_be_asked)], docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/static/{name}")
def static(name: str) -> FileResponse:
    """Return one of the page's own files."""
    if name not in {file.name for file in _STATIC.iterdir()}:
        raise HTTPException(404, f"There is no file {name!r} of the page.")
    # Asked for anew each time: after an update nobody sees half of the old page.
    return FileResponse(_STATIC / name, headers={"Cache-Control": "no-cache"})


@app.get("/api/syncs", dependencies=[Depends(_private)])
def list_syncs(  # noqa: PLR0913 - what the page can ask for
    *,
    user: GetUserDep,
    dag_id: str | None = None,
    run_id: str | None = None,
    task_id: str | None = None,
    map_index: int | None = None,
    since: _Time | None = None,
    until: _Time | None = None,
    by: Literal["ran", "interval"] = "ran",
) -> dict[str, Any]:
    """Return the syncs of the Dags that the user may read, newest first."""
    asked = syncs.SyncFilter(
        dag_id=dag_id or None,
        run_id=run_id or None,
        task_id=task_id or None,
        map_index=map_index,
        since=since,
        until=until,
        by_interval=by == "interval",
    )
    with create_session(scoped=False) as session:
        dags = sorted(dag for dag in syncs.dags_with_syncs(session, asked) if _may_get(user, dag, _RUNS))
        found = syncs.reported(session, asked, dags)
        without = syncs.unreported(session, asked, dags)
    is_cut = len(found) > syncs.LIMIT
    if is_cut:
        # Of the time before the oldest that is shown, nothing is.
        without = [each for each in without if each["ran_at"] >= found[syncs.LIMIT - 1]["ran_at"]]
    with_rows = {dag: {"may_read_rows": _may_get(user, dag, _ROWS)} for dag in dags}
    return {
        "syncs": [each | with_rows[each["dag_id"]] for each in found[: syncs.LIMIT]],
        "unreported": [each | with_rows[each["dag_id"]] for each in without[: syncs.LIMIT]],
        "dags": dags,
        "truncated": is_cut or len(without) > syncs.LIMIT,
        "limit": syncs.LIMIT,
    }


@app.get(_TASK + "/rows", dependencies=[Depends(_may_see_rows), Depends(_private)])
def list_rows(  # noqa: PLR0913 - what the page can ask for
    *,
    task: Annotated[TaskKey, Depends(TaskKey)],
    execution: str = "",
    action: str = "",
    code: str = "",
    search: Annotated[str, Header(alias="X-Lead-Syncs-Search")] = "",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Return what became of the rows of one execution of a task.

    What is searched for comes in a header, percent-encoded: it may be somebody's e-mail address, and Airflow writes the
    addresses of requests into its log.
    """
    with _plain_errors(task):
        folder, names = _execution(task, execution)
        page = page_of(
            folder.directory, Wanted(action=action, code=code, search=unquote(search)), offset=offset, limit=limit
        )
        history = history_of(folder, names)
        report, problem = written_report(folder)
        return {
            "rows": page.rows,
            "total": page.total,
            "actions": page.actions,
            "codes": page.codes,
            "execution": folder.execution,
            "executions": names,
            "history": history,
            "counts": live_total(history),
            "again": how_often(history),
            "dry_run": folder.execution.endswith(DRY_RUN),
            "report": report,
            "problems": [*([problem] if problem else []), *page.problems],
            "folder": folder.url,
        }


@app.get(_TASK + f"/{REJECTS}", dependencies=[Depends(_may_see_rows)])
def download_rejects(
    task: Annotated[TaskKey, Depends(TaskKey)],
    execution: str = "",
    target: Annotated[Literal["", "spreadsheet"], Query(alias="for")] = "",
) -> StreamingResponse:
    """Return the rejected rows of one execution as a file."""
    with _plain_errors(task):
        folder, _ = _execution(task, execution)
        if not folder.directory.has(REJECTS):
            raise NoResultsError(f"There is no {REJECTS} in {folder.url} yet; it is written when a sync ends.")
        pieces = (download.for_spreadsheet if target else download.as_it_is)(folder.directory)
        # What is wrong with its beginning is told while there is still another answer to give.
        first = next(pieces, b"")
    name = _ODD.sub("_", f"rejects-{task.dag_id}-{task.run_id}-{task.task_id}") + ".csv"
    headers = _PRIVATE | {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(chain([first], pieces), media_type="text/csv; charset=utf-8", headers=headers)


def _execution(task: TaskKey, execution: str) -> tuple[ResultsFolder, list[str]]:
    with create_session(scoped=False) as session:
        return executions_of(session, task, execution)


@contextmanager
def _plain_errors(task: TaskKey) -> Iterator[None]:
    """Say what is wrong in words, not by a traceback."""
    try:
        yield
    except NoResultsError as problem:
        raise HTTPException(404, str(problem)) from None
    except ExportError as problem:
        raise HTTPException(422, str(problem)) from None
    except Exception as problem:
        # Each storage has errors of its own, which descend from nothing in common.
        _log.warning("The results of %s cannot be read: %s", task, type(problem).__name__)
        raise HTTPException(
            503,
            f"The API server cannot read the results of {task.task_id!r} ({type(problem).__name__}). It needs the same"
            " access to results_path as the workers: the storage's driver, its connection, or a disk that they share.",
        ) from problem
