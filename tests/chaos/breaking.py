"""Takes one safety away, to show that the test bed would catch us lying.

``SFLEADS_CHAOS_BREAK`` says which; only the operators of this folder read it:

* ``resend``: pages and jobs of plain inserts pass for repeatable, so they are sent again where no answer came;
* ``journal``: nothing that a task writes into Airflow's task state store is kept;
* ``standing``: what was once read of a lead is never read again;
* ``stopped``: an export whose reading was stopped passes for one that was read to its end;
* ``fence``: a process goes on as the owner of its task when another one has taken over;
* ``newer``: what a newer run has done is asked when rows are staged, and not again when they are sent;
* ``account``: what is recorded is not held against what was done.

``resend`` and the last four stand in the places that :data:`SEAMS` names; where one of those is not there, nothing
would be proved, and nothing runs.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.salesforce.wire import Call, Reply

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_sfleads.salesforce.client import Client

_OPERATORS = "airflow_provider_sfleads.operators"


@dataclass(frozen=True, kw_only=True)
class Seam:
    """A place at which a safety can be taken away.

    :param place: ``module:name`` of where it is looked up: a function there, or a method, with its class in front.
    :param without: makes of it one that is not safe.
    :param needs: ``module:name`` of what it rests on.
    """

    place: str
    without: Callable[[Callable[..., Any]], Callable[..., Any]]
    needs: str | None = None

    def cut(self) -> None:
        """Take the safety away."""
        owner, name = _found(self.place)
        setattr(owner, name, self.without(getattr(owner, name)))

    def lacks(self) -> str | None:
        """What of it is not there, if so."""
        for place in filter(None, (self.place, self.needs)):
            try:
                owner, name = _found(place)
                getattr(owner, name)
            except (ImportError, AttributeError):
                return place
        return None


def _found(place: str) -> tuple[Any, str]:
    module, _, names = place.partition(":")
    *path, name = names.split(".")
    owner: Any = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    return owner, name


def _nothing(_safe: Callable[..., Any]) -> Callable[..., Any]:
    """What finds nothing to object to."""
    return lambda *_args, **_kwargs: None


def _sending_again(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """What takes plain inserts for repeatable."""

    def prepared(*given: Any) -> Any:  # noqa: ANN401 - settings, ground, and a plan
        plan = prepare(*given)
        if plan.operation == "create":
            plan._new = replace(plan._new, repeatable=True)
        return plan

    return prepared


def _read_to_its_end(carry_out: Callable[..., Any]) -> Callable[..., Any]:
    def carried_out(load: Any) -> Any:  # noqa: ANN401 - a load under way, and its course
        course = carry_out(load)
        return replace(course, is_read=True) if hasattr(course, "is_read") else course

    return carried_out


SEAMS = {
    "resend": (Seam(place="airflow_provider_sfleads.pipeline.prepare:prepare", without=_sending_again),),
    "stopped": (
        Seam(
            place=f"{_OPERATORS}.load_run:carry_out",
            without=_read_to_its_end,
            needs=f"{_OPERATORS}.load_context:LoadOutcome.is_read",
        ),
    ),
    "fence": (Seam(place=f"{_OPERATORS}.ownership:Ownership.verify", without=_nothing),),
    "newer": (Seam(place=f"{_OPERATORS}.run_parts:late_check", without=_nothing),),
    "account": (Seam(place=f"{_OPERATORS}.load:misrecorded", without=_nothing),),
}


def _broken(kind: str) -> bool:
    return os.environ.get("SFLEADS_CHAOS_BREAK") == kind


def lacking() -> list[str]:
    """Places of the safety that is to be taken away which are not there."""
    seams = SEAMS.get(os.environ.get("SFLEADS_CHAOS_BREAK", ""), ())
    return [place for seam in seams if (place := seam.lacks()) is not None]


def cut() -> None:
    """Take away what a seam stands for, once a process."""
    while _UNCUT:
        _UNCUT.pop().cut()


_UNCUT = [*SEAMS.get(os.environ.get("SFLEADS_CHAOS_BREAK", ""), ())]


class _Forgetful:
    """A task state store that keeps nothing, but who owns the task."""

    def __init__(self) -> None:
        self._owners: dict[str, object] = {}

    def get(self, key: str) -> object:
        """Know nothing."""
        return self._owners.get(key)

    def set(self, key: str, value: object) -> None:
        """Lose it."""
        if "owner" in key:
            self._owners[key] = value


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
