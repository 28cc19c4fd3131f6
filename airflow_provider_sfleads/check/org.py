"""Ask the org that is checked, and keep all its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_provider_sfleads.salesforce import Client
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.wire import Call, FileBody, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOptions:
    """What of the org the user's Dags use.

    :param external_id_field: Lead's external-ID field; ``None`` where there is none.
    :param stage_field: field that holds the stage.
    :param match_email: whether people are also found by e-mail.
    :param fields: further fields that they write.
    """

    external_id_field: str | None = None
    stage_field: str | None = None
    match_email: bool = False
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One call and its answer, for :mod:`.recording`.

    :param text: CSV of an answer that went into a file.
    :param sent: CSV of a body that lay in one.
    """

    call: Call
    reply: Reply
    text: str | None = field(default=None, repr=False)
    sent: str | None = field(default=None, repr=False)


class Org:
    """Sends calls for the check, and keeps every answer.

    :param client: the connection's client.
    :param options: what the check is about.
    :param job_timeout: seconds for which a job is waited for.
    """

    def __init__(self, client: Client, options: CheckOptions, *, job_timeout: float = 300.0) -> None:
        self.client = client
        self.options = options
        self.job_timeout = job_timeout
        self.exchanges: list[Exchange] = []
        # What one probe finds out and others build on: Lead as the Run-As user sees it, some of the org's leads, the
        # edition, with whether it is a sandbox, and the user's language, where it is known and is not English.
        self.lead = SObjectInfo(name="Lead", fields={})
        self.leads: Sequence[Mapping[str, Any]] = ()
        self.edition = ""
        self.foreign_language = ""

    @property
    def conn_id(self) -> str:
        """Names the connection in messages."""
        return self.client.settings.conn_id

    def send(self, call: Call) -> Reply:
        """Send a call as every operator does.

        :raises SalesforceLeadsError: as :meth:`airflow_provider_sfleads.salesforce.Client.send`.
        """
        reply = self.client.send(call)
        sent = call.body.path.read_text(encoding="utf-8") if isinstance(call.body, FileBody) else None
        self.exchanges.append(Exchange(call=call, reply=reply, sent=sent))
        return reply

    def download(self, call: Call, path: Path) -> Reply:
        """Send a call that is answered with CSV, which goes to ``path``."""
        reply = self.client.download(call, path)
        text = path.read_text(encoding="utf-8") if reply.taken else None
        self.exchanges.append(Exchange(call=call, reply=reply, text=text))
        return reply
