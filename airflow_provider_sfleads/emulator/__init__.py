"""A local stand-in for the part of Salesforce that lead syncs talk to, for trying Dags, CI and tests.

In a test::

    with EmulatorServer(EmulatorSettings(api_limit=100)) as server:
        server.seed_leads([{"LastName": "Ray", "Company": "Acme", "External_Id__c": "L-1"}])
        server.add_fault("drop_after", method="POST", path="/composite/sobjects", nth=2)
        ...  # talk to server.url with key `emulator-key` and secret `emulator-secret`
        assert server.stats()["leads"] == 1

What is served: client-credentials tokens (introspect, revoke, userinfo, the identity URL), versions, limits,
`/sobjects`, describe of Lead, rows of Lead, sObject Collections of Lead, SOQL on Lead, Contact, User, Group,
AssignmentRule and Organization (fields, COUNT(), conditions, order, limit, offset), Bulk API 2.0 jobs (ingest
of Lead: insert, update, upsert, delete; query on all of these). Lead has the fields of a new org, as
recorded with v59.0, and some of an admin. `EmulatorSettings` and `Fault` list what can be switched.

Bulk jobs are worked off in the background; a test hurries or breaks them::

    server.change_settings(bulk_rate=500.0)  # rows a second and job; None is at once
    server.finish_jobs()
    server.fail_job(job_id)
    assert server.jobs()[0]["state"] == "JobComplete"

For benchmarks `counting=True` counts rows instead of keeping them: each succeeds with an id made of its number, and the
results echo it, from and to files in pieces of 1 MB. With `virtual_leads=n` besides, n leads exist that are only
numbers: they can be counted, retrieved by id, looked up by key (K-0000001 and so on), and read by a query job.

What is faked: one run-as user who may do everything that is not hidden; the assignment rule takes every lead; the
duplicate rule compares exactly; the one validation rule is about steps back of the stage; records are saved one
request, or 200 rows of a job, at a time, so nothing ever races inside the org; limits other than API requests and bulk
batches are constants; lengths count code points; numbers are rounded to their scale; a value that a picklist does not
list keeps the spelling in which it is sent; a bulk job is not retried, does not grow old, and names one error a row.

What clients assume can be made untrue, one assumption at a time: `broken=("auto_assign",)`; `deviations.DEVIATIONS`
lists what there is.

What is not served: Bulk API 1.0, hard deletes, composite, batch, tree and graph, other flows than client credentials,
writes to other objects than Lead, record types, person accounts, other validation rules, triggers, state and country
picklists, undelete, SOQL relationships, functions, GROUP BY and date literals such as TODAY, conditional headers on
rows.

From a shell: ``python -m airflow_provider_sfleads.emulator --help``. Both need the extra
``airflow-provider-sfleads[emulator]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.faults import Fault
    from airflow_provider_sfleads.emulator.fields import FieldSpec
    from airflow_provider_sfleads.emulator.server import EmulatorServer
    from airflow_provider_sfleads.emulator.settings import EmulatorSettings

__all__ = ["EmulatorServer", "EmulatorSettings", "Fault", "FieldSpec"]

_HOMES = {"EmulatorServer": "server", "EmulatorSettings": "settings", "Fault": "faults", "FieldSpec": "fields"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - of whatever type the name is
    """Load a name when it is first used: the server needs packages that only the extra installs."""
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in {"starlette", "uvicorn", "h11"}:
            raise
        message = f"The emulator needs {error.name}: pip install 'airflow-provider-sfleads[emulator]'"
        raise ModuleNotFoundError(message, name=error.name) from error
