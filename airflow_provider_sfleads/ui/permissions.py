"""Decide who may see what: the one place that asks Airflow's auth manager.

What is imported here is what Airflow's own routes use, and no public interface; the tests of the routes tell when it
changes. A Dag's numbers are for those who may read its runs and task instances, its rows for those who may read its
XComs as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from airflow.models.dag import DagModel
from fastapi import HTTPException

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

__all__ = ["GetUserDep", "get_user", "may_read_rows", "may_see_rows", "readable"]

_NUMBERS = (None, DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE)
# Whoever may read XComs, and not the runs that they are of, would learn here which runs there are.
_ROWS = (*_NUMBERS, DagAccessEntity.XCOM)


def readable(user: BaseUser, dag_ids: Iterable[str]) -> list[str]:
    """Return the Dags whose runs the user may read, sorted."""
    return sorted(dag_id for dag_id in dag_ids if _may_get(user, dag_id, _NUMBERS))


def may_read_rows(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may read the Dag's XComs, and so the rows of its syncs."""
    return _may_get(user, dag_id, _ROWS)


def may_see_rows(dag_id: str, user: GetUserDep) -> None:
    """Guard a route with a ``dag_id`` in its path: the Dag's rows are for this user."""
    if not may_read_rows(user, dag_id):
        # In the same words whether there is such a Dag or none.
        raise HTTPException(403, "Forbidden")


def _may_get(user: BaseUser, dag_id: str, entities: Iterable[DagAccessEntity | None]) -> bool:
    manager, details = get_auth_manager(), DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return all(
        manager.is_authorized_dag(method="GET", access_entity=entity, details=details, user=user) for entity in entities
    )
