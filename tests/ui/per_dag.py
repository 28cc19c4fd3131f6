"""An auth manager that gives each user rights on single Dags; Airflow's simple one knows roles only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

from tests.ui.people import OURS, THEIRS

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

#: What of which Dags these users may not see; whoever is not named sees everything.
HIDDEN: dict[str, dict[str, set[DagAccessEntity] | None]] = {
    "reader": {THEIRS: None},
    "numbers": {OURS: {DagAccessEntity.XCOM}, THEIRS: None},
    "outsider": dict.fromkeys((OURS, THEIRS)),
    "without_runs": {OURS: {DagAccessEntity.RUN}, THEIRS: None},
    "without_tasks": {OURS: {DagAccessEntity.TASK_INSTANCE}, THEIRS: None},
}


class PerDagAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, with Dags that some users may not see, or not all of."""

    def is_authorized_dag(
        self,
        *,
        method: Any,  # noqa: ANN401 - Airflow's own
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Whether the user may do that."""
        hidden = HIDDEN.get(user.username, {})
        if details is not None and details.id in hidden:
            entities = hidden[details.id]
            if entities is None or access_entity in entities:
                return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
