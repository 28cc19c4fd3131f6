"""Airflow's DagBag, wherever the Airflow that runs keeps it, and how its Dags come into the database."""

from __future__ import annotations

from airflow.models.dagbundle import DagBundleModel
from airflow.utils.session import create_session

try:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
except ImportError:  # 3.1
    from airflow.models.dagbag import DagBag, sync_bag_to_db  # type: ignore[no-redef]

__all__ = ["DagBag", "store"]


def store(bag: DagBag, bundle: str) -> None:
    """Put the Dags of a bag into Airflow's database, where ``DAG.test`` wants them.

    :param bundle: under whose name.
    """
    with create_session() as session:
        session.merge(DagBundleModel(name=bundle))
    sync_bag_to_db(bag, bundle, None)
