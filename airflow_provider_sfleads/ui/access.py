"""Who may see what: the one place that asks Airflow's auth manager.

What is imported here is what Airflow's own routes use, and no public interface; the tests of the routes tell when it
changes. A Dag's numbers are for those who may read its runs, its rows for those who may read its XComs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.models.dag import DagModel

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

__all__ = ["GetUserDep", "get_user", "may_read_rows", "may_see_rows", "readable"]

#: Guards a route with a ``dag_id`` in its path: the Dag's rows are for this user.
may_see_rows = requires_access_dag("GET", DagAccessEntity.XCOM)


def readable(user: BaseUser, dag_ids: Iterable[str]) -> list[str]:
    """Return the Dags whose runs the user may read, sorted."""
    entities = (None, DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE)
    return sorted(dag_id for dag_id in dag_ids if all(_may_get(user, dag_id, entity) for entity in entities))


def may_read_rows(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may read the Dag's XComs, and so the rows of its syncs."""
    return _may_get(user, dag_id, DagAccessEntity.XCOM)


def _may_get(user: BaseUser, dag_id: str, entity: DagAccessEntity | None) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(get_auth_manager().is_authorized_dag(method="GET", access_entity=entity, details=details, user=user))
