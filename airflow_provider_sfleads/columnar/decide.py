"""Which rows of a part are sent, and as what: the look-up of a plan, by the column."""

from __future__ import annotations

from airflow_provider_sfleads.columnar.decisions import Decisions
from airflow_provider_sfleads.columnar.index import KeyMemory
from airflow_provider_sfleads.columnar.reading import Batches, Reading
from airflow_provider_sfleads.sync.create import CreatePlan
from airflow_provider_sfleads.sync.stage import StagePlan


def decide(plan: CreatePlan | StagePlan, batches: Batches, reading: Reading, memory: KeyMemory) -> Decisions:
    """Decide about the rows of a part as ``plan.look_up`` does.

    Where the plan looks nothing up, nothing is read of Salesforce, and every row goes the way of new leads. Rows
    marked ``tail`` are not looked up; the row code does it. A lead id that is found for a key is remembered in
    ``memory`` (space ``id``).

    :param batches: called several times; every time the same rows in the same order, at most some 1,000,000.
    :raises Stopped: where the run is to end; nothing is decided.
    :raises SalesforceLeadsError: where Salesforce cannot be read.
    """
    raise NotImplementedError
