"""The real operators in a hurry: they wait at a door before each try, and do not wait long for anything else."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators import in_bulk
from airflow_provider_sfleads.operators.base import LeadSyncOperator
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator
from airflow_provider_sfleads.transport.settings import Retries
from tests.chaos import breaking

if TYPE_CHECKING:
    from threading import Event

    from airflow.sdk import Context

    from airflow_provider_sfleads.operators.under_way import LoadSettings, Plan
    from airflow_provider_sfleads.sync.prepare import Ground
    from airflow_provider_sfleads.transport import Client, Settings

# A worker leaves the wait for a job to the triggerer as soon as it may.
in_bulk._PATIENCE = 0.3
LATE_COMMIT = timedelta(seconds=5)


class HastyHook(SalesforceLeadsHook):
    """Tries again at once: a schedule has many faults, and a test little time."""

    def _make_client(self, settings: Settings) -> Client:
        hasty = replace(settings, retries=Retries(attempts=3, base=0.01, cap=1.5), timeout=15.0)
        return breaking.client(super()._make_client(hasty))


@contextmanager
def _at_the_door(door: str, visit: Mapping[str, Any]) -> Iterator[None]:
    """Say who is there and wait to be let in; whoever stands at the door sees how this ends, also by SIGKILL."""
    with socket.create_connection(("127.0.0.1", int(door)), timeout=120) as line:
        line.sendall(json.dumps(visit).encode() + b"\n")
        if not line.recv(1):
            raise SystemExit("Nobody is at the door any more.")
        word = "returned"
        try:
            yield
        except BaseException as error:
            word = type(error).__name__
            raise
        finally:
            line.sendall(word.encode())


class Hurried(LeadSyncOperator):
    """What both have in common.

    :param door: port of the door.
    """

    def __init__(self, *, door: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.door = door

    def _load(self, context: Context, event: Mapping[str, Any] | None) -> dict[str, object]:
        visit = {"pid": os.getpid(), "try": context["ti"].try_number, "resumed": event is not None}
        with _at_the_door(self.door, visit):
            return super()._load(breaking.context(context), event)

    def _hook(self) -> SalesforceLeadsHook:
        return HastyHook(salesforce_conn_id=self.salesforce_conn_id)

    def _settings(self, stop: Event) -> LoadSettings:
        settings = super()._settings(stop)
        known = {item.name for item in fields(settings)}
        more: dict[str, Any] = {"late_commit": LATE_COMMIT} if "late_commit" in known else {}
        return replace(settings, **more)


class Create(Hurried, SalesforceCreateLeadsOperator):
    """Creates leads."""

    template_fields = (*SalesforceCreateLeadsOperator.template_fields, "door")

    def _prepare(self, ground: Ground) -> Plan:
        return breaking.plan(super()._prepare(ground))


class Move(Hurried, SalesforceUpdateLeadStageOperator):
    """Moves leads to a stage."""

    template_fields = (*SalesforceUpdateLeadStageOperator.template_fields, "door")
