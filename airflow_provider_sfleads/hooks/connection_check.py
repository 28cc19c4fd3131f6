"""Test a connection, as the Test button does: say what is wrong with it, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_sfleads.exceptions import LeadAccessError, RequestRefusedError, SalesforceLeadsError
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.describe import offered_in, versions_call
from airflow_provider_sfleads.salesforce.replies import errors_of, plain_text
from airflow_provider_sfleads.salesforce.wire import Call, Reply

#: The Test button goes by a connection id that Airflow makes up, so the user has to put in the right one.
WHOLE_CHECK = "python -m airflow_provider_sfleads.check CONNECTION_ID"
_MISSING = 404
_LEAD = Call(method="GET", path="sobjects/Lead/describe")


def check(client: Client) -> str:
    """Fetch a token, read Lead's describe, and say who is connected to what.

    :raises SalesforceLeadsError: naming the first thing that is wrong.
    """
    client.login()
    reply = client.send(_LEAD)
    if reply.status != 200:  # noqa: PLR2004
        raise _refused(client, reply)
    lead = reply.body if isinstance(reply.body, dict) else {}
    lacking = [verb for verb, flag in (("create", "createable"), ("edit", "updateable")) if lead.get(flag) is False]
    if lacking:
        raise LeadAccessError(
            f"The Run-As user may read leads but not {' or '.join(lacking)} them. "
            "Give it Lead Create, Read and Edit in a permission set.",
            status=reply.status,
        )
    usage = client.api_usage
    used = f"; {usage.used} of {usage.max} API requests used in the last 24 hours" if usage else ""
    ceiling = f"; syncs stop writing at {100 * client.settings.max_api_usage:g}% of them" if usage else ""
    who = f"user {client.user_id or 'unknown'} of org {client.org_id or 'unknown'}"
    version = client.settings.api_version
    written = f"leads can be written{_unseen(lead)}"
    return (
        f"Connected to {client.base_url} as {who}, API version {version}; {written}{used}{ceiling}. "
        f"For all else that syncs rely on, run: {WHOLE_CHECK}"
    )


def _unseen(lead: Mapping[str, Any]) -> str:
    """Return what results will lack; a sync runs all the same."""
    names = {item.get("name") for item in lead.get("fields") or () if isinstance(item, dict)}
    return "" if "ConvertedContactId" in names else ", contact ids are not shown (no Read on Contact)"


def _refused(client: Client, reply: Reply) -> SalesforceLeadsError:
    conn_id, version = client.settings.conn_id, client.settings.api_version
    if reply.status == _MISSING:
        offered = offered_in(client.send(versions_call()).body)
        if offered and version not in offered:
            return RequestRefusedError(
                f"The org of connection {conn_id!r} does not offer API version {version}; it offers {offered[0]} to "
                f"{offered[-1]}. Set api_version in Extra.",
                status=reply.status,
            )
    return no_lead_access(reply, conn_id=conn_id)


def no_lead_access(reply: Reply, *, conn_id: str) -> SalesforceLeadsError:
    """Make the error for a describe of Lead that Salesforce refused."""
    errors = errors_of(reply)
    return LeadAccessError(
        f"The Run-As user of connection {conn_id!r} cannot see the Lead object "
        f"(HTTP {reply.status}: {plain_text(errors)}). Give it a permission set with Lead Create, Read and Edit and "
        "the mapped fields, and a licence that includes leads.",
        status=reply.status,
        codes=tuple(error.code for error in errors),
    )
