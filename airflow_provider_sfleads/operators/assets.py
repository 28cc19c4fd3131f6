"""The asset that a sync changes: other Dags start when it has, and know by how much."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator
    from airflow.sdk import Asset
    from openlineage.client.event_v2 import Dataset

log = logging.getLogger(__name__)

#: What a live success has to tell; who needs more finds the report below ``results_path``. Of a task that was cleared
#: there is an event each time: its counts are those of the execution that it tells of, ``executions`` has all of them.
_TOLD = (
    "read",
    "filtered",
    "duplicate_keys",
    "unchanged",
    "created",
    "updated",
    "rejected",
    "operation",
    "interval_start",
    "interval_end",
    "results_path",
    "executions",
)


def with_alias(outlets: Sequence[Any], conn_id: object) -> list[Any]:
    """Return a task's outlets, with the alias of a connection's leads among them.

    :param outlets: what the author of the Dag gave; all of it stays, in its order.
    :param conn_id: the connection's id; one that is still to be rendered adds nothing.
    """
    from airflow.sdk import AssetAlias

    own = list(outlets)
    if isinstance(conn_id, str) and conn_id and not any(mark in conn_id for mark in ("{{", "{%")):
        name = _alias_name(conn_id)
        if not any(isinstance(outlet, AssetAlias) and outlet.name == name for outlet in own):
            own.append(AssetAlias(name))
    return own


def announce(operator: BaseOperator, context: Mapping[str, Any], conn_id: str, report: Mapping[str, Any]) -> None:
    """Say that the org's leads have been synced; Airflow passes it on when the task has succeeded.

    :param operator: whose success it is.
    :param context: Airflow's task context; one without asset events, such as a test's, is passed over.
    :param conn_id: the connection's id, rendered.
    :param report: what the task returns; a dry run has synced nothing.
    """
    events = context.get("outlet_events")
    if events is None or report["dry_run"]:
        return
    from airflow.sdk import Asset, AssetAlias

    try:
        # Airflow drops events of aliases that are no outlets, and a rendered id was none so far.
        operator.outlets = with_alias(operator.outlets, conn_id)
        lead = Asset(f"salesforce://{report['host']}/Lead")
        events[AssetAlias(_alias_name(conn_id))].add(lead, extra={name: report[name] for name in _TOLD})
    except Exception as error:  # noqa: BLE001
        # The leads are synced: nothing that comes after makes a failure of it.
        log.warning("Other Dags are not told that leads were synced: %s", type(error).__name__)


def dataset_of(asset: Asset, lineage_context: object) -> Dataset:  # noqa: ARG001 - Airflow's signature
    """Return what OpenLineage calls the asset, so that a task with it as an inlet is linked with the syncs."""
    from urllib.parse import urlsplit

    from openlineage.client.event_v2 import Dataset

    parts = urlsplit(asset.uri)
    return Dataset(namespace=f"{parts.scheme}://{parts.netloc}", name=parts.path.strip("/"))


def _alias_name(conn_id: str) -> str:
    return f"salesforce_leads:{conn_id}"
