"""Syncs of two Dags that not everybody may see."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_provider_sfleads.results.folder import ResultsFolder
from tests.ui import made_up
from tests.ui.people import OURS, THEIRS
from tests.ui.servers import Server
from tests.ui.test_routes import EXECUTION, write_results

ALL = sorted((OURS, THEIRS))
RAN_AT = datetime(2026, 11, 23, 3, tzinfo=UTC)
#: The run that has a report, and rows.
RUN = f"scheduled__{RAN_AT.isoformat()}"


def have_runs(server: Server) -> None:
    """Have two runs of each Dag: one with its rows, and one that left no report."""
    with made_up.database(server.database) as session:
        made_up.clear(session)
        for dag_id in ALL:
            path = ResultsFolder(server.folder, dag_id, RUN, "sync", -1, EXECUTION).url
            made_up.add_sync(session, dag_id, RAN_AT, report={"results_path": path})
            made_up.add_sync(session, dag_id, RAN_AT.replace(hour=4), report=None, state="failed")
    for dag_id in ALL:
        write_results(server.folder, dag_id, RUN, EXECUTION, codes=3)
