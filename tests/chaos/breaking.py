"""Takes one safety away, to show that the test bed would catch us lying.

``SFLEADS_CHAOS_BREAK`` says which; only the operators of this folder read it:

* ``resend``: pages and jobs of plain inserts pass for repeatable, so they are sent again where no answer came;
* ``journal``: nothing that a task writes into Airflow's task state store is kept;
* ``standing``: what was once read of a lead is never read again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.core.wire import Call, Reply

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_sfleads.operators.under_way import Plan
    from airflow_provider_sfleads.transport import Client

KINDS = ("resend", "journal", "standing")


def _broken(kind: str) -> bool:
    return os.environ.get("SFLEADS_CHAOS_BREAK") == kind


def plan(made: Plan) -> Plan:
    """The plan, or one that takes plain inserts for repeatable."""
    if _broken("resend") and made.operation == "create":
        changed: Any = made
        changed._new = replace(changed._new, repeatable=True)
    return made


class _Forgetful:
    """A task state store that keeps nothing."""

    def get(self, _key: str) -> object:
        """Know nothing."""
        return None

    def set(self, _key: str, _value: object) -> None:
        """Lose it."""


def context(given: Context) -> Context:
    """The task's context, or one whose state store keeps nothing."""
    if _broken("journal"):
        changed: Any = {**given, "task_state_store": _Forgetful()}
        given = changed
    return given


def client(made: Client) -> Client:
    """The client, or one that answers questions about leads as they were answered before."""
    if _broken("standing"):
        changed: Any = made
        changed.send = _remembering(made.send, made.settings.conn_id)
    return made


def _remembering(send: Callable[[Call], Reply], conn_id: str) -> Callable[[Call], Reply]:
    folder = Path(tempfile.gettempdir()) / f"sfleads-chaos-{conn_id}"
    folder.mkdir(exist_ok=True)

    def answer(call: Call) -> Reply:
        asks = call.path.startswith(("query", "composite/sobjects/Lead", "jobs/query"))
        if call.method == "DELETE" and asks:
            return Reply(status=204, body=None, headers={})
        if not asks or call.write:
            return send(call)
        question = repr((call.method, call.path, call.params, call.body))
        kept = folder / hashlib.sha256(question.encode()).hexdigest()
        if not kept.exists():
            reply = send(call)
            kept.write_bytes(pickle.dumps(reply))
        found: Reply = pickle.loads(kept.read_bytes())  # noqa: S301 - our own
        return found

    return answer
