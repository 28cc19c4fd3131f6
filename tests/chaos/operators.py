"""The real operators in a hurry: they wait at a door before each try, and do not wait long for anything else."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.exports.record_batches import Chunk, ChunkStream
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators import load_run as pipeline
from airflow_provider_sfleads.operators.base import LeadSyncOperator
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator
from airflow_provider_sfleads.results.lease import Pace
from airflow_provider_sfleads.salesforce.settings import Retries
from tests.chaos import breaking
from tests.chaos.door import BY_ROWS, TOLD

if TYPE_CHECKING:
    from threading import Event

    from airflow.sdk import Context

    from airflow_provider_sfleads.operators.load_settings import LoadSettings
    from airflow_provider_sfleads.salesforce.client import Client
    from airflow_provider_sfleads.salesforce.settings import Settings

# A worker leaves the wait for a job to the triggerer as soon as it may.
pipeline._PATIENCE = 0.3
LATE_COMMIT = timedelta(seconds=5)
# What has not left for longer than this could still be carried out when not finding it counts as proof.
STALE = 2.0
PACE = Pace(lasts=6.0, renewed=1.5, skew=1.0, looks=0.5, patience=120.0, handover=20.0)
#: What an error says where bulk cannot go on with a plain insert whose records are lost.
ADVICE = "Take api='collections'"
_STRETCH, _STRETCHES = 25, 15  # rows between two pauses of a slow export; pauses of one of usual length


class HastyHook(SalesforceLeadsHook):
    """Tries again at once: a schedule has many faults, and a test little time."""

    def _make_client(self, settings: Settings) -> Client:
        hasty = replace(settings, retries=Retries(attempts=3, base=0.01, cap=1.5), timeout=15.0, stale=STALE)
        return breaking.client(super()._make_client(hasty))


class Paced(FileExport):
    """A file that is read slowly.

    :param pace: seconds that it takes, more or less.
    """

    template_fields: ClassVar[tuple[str, ...]] = (*FileExport.template_fields, "pace")

    def __init__(self, path: str, pace: str) -> None:
        super().__init__(path)
        self.pace = pace

    @contextmanager
    def open(self) -> Iterator[ChunkStream]:
        """Yield them in chunks, small ones where they come slowly."""
        with super().open() as stream:
            yield stream if not float(self.pace) else replace(stream, chunks=self._pieces(stream.chunks))

    def _pieces(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        for chunk in chunks:
            for start in range(0, len(chunk), _STRETCH):
                time.sleep(float(self.pace) / _STRETCHES)
                yield chunk[start : start + _STRETCH] if isinstance(chunk, list) else chunk.slice(start, _STRETCH)


@contextmanager
def _at_the_door(door: str, visit: Mapping[str, Any]) -> Iterator[tuple[socket.socket, bytes]]:
    """Say who is there and wait to be let in; whoever stands at the door sees how this ends, also by SIGKILL."""
    with socket.create_connection(("127.0.0.1", int(door)), timeout=120) as line:
        line.sendall(json.dumps(visit).encode() + b"\n")
        how = line.recv(1)
        if not how:
            raise SystemExit("Nobody is at the door any more.")
        word = "returned"
        try:
            yield line, how
        except BaseException as error:
            word = f"{type(error).__name__}{f': {ADVICE}' if ADVICE in str(error) else ''}"
            raise
        finally:
            _say(line, word)


def _say(line: socket.socket, word: str) -> None:
    # A process that was frozen may come back when nobody listens any more.
    with suppress(OSError):
        line.sendall(word.encode() + b"\n")


class Hurried(LeadSyncOperator):
    """What both have in common.

    :param door: port of the door.
    """

    _line: socket.socket | None = None

    def __init__(self, *, door: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.door = door

    def _load(self, context: Context, event: Mapping[str, Any] | None) -> dict[str, object]:
        ti = context["ti"]
        visit = {
            "pid": os.getpid(),
            "supervisor": os.getppid(),
            "number": ti.try_number,
            "map_index": -1 if ti.map_index is None else ti.map_index,
            "resumed": event is not None,
        }
        with _at_the_door(self.door, visit) as (self._line, how):
            breaking.cut()
            if how == BY_ROWS:
                self.api = "collections"
            return super()._load(breaking.context(context), event)

    def on_kill(self) -> None:
        """Say that it is called, before it does what it does."""
        if self._line is not None:
            _say(self._line, TOLD)
        super().on_kill()

    def _hook(self) -> SalesforceLeadsHook:
        return HastyHook(salesforce_conn_id=self.salesforce_conn_id)

    def _settings(self, stop: Event) -> LoadSettings:
        return replace(super()._settings(stop), late_commit=LATE_COMMIT, pace=PACE)


class Create(Hurried, SalesforceCreateLeadsOperator):
    """Creates leads."""

    template_fields = (*SalesforceCreateLeadsOperator.template_fields, "door")


class Move(Hurried, SalesforceUpdateLeadStageOperator):
    """Moves leads to a stage."""

    template_fields = (*SalesforceUpdateLeadStageOperator.template_fields, "door")
