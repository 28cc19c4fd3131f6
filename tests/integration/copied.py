"""The example Dags as somebody has copied and changed them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import DAG

DAGS = Path(__file__).parents[2] / "dags"


def copied_dag(dag_id: str, copy_id: str, folder: Path, changes: Mapping[str, str]) -> DAG:
    """A changed copy of an example Dag, under a name of its own: Airflow takes another text of a Dag for a new version.

    :param folder: where the copy is written.
    :param changes: what to put in place of what.
    """
    from demo.dagbag import DagBag

    text = (DAGS / f"{dag_id}.py").read_text(encoding="utf-8")
    for old, new in {f'"{dag_id}"': f'"{copy_id}"', f'"{dag_id}_dry_run"': f'"{copy_id}_dry_run"', **changes}.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / f"{copy_id}.py"
    path.write_text(text, encoding="utf-8")
    return DagBag(dag_folder=str(path)).dags[copy_id]
