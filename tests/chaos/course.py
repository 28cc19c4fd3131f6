"""One schedule from the first try to the first that nothing disturbs, in a real Airflow."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings
from tests.chaos.companion import Companion
from tests.chaos.door import HANGS, Door, Visit
from tests.chaos.drawing import Record, Schedule, Trouble, draw
from tests.chaos.operators import LATE_COMMIT
from tests.chaos.org import Org
from tests.integration.real_airflow import RealAirflow, Run
from tests.integration.support import results_of

#: What becomes of a row that has its lead.
SETTLED = ("created", "updated", "unchanged")
_ENDS = ("success", "failed")
_PEACEFUL_TRIES = 6
# A task waits half an hour for an org that refuses every call; here that is over sooner.
_LONGEST_TROUBLE = 20.0
_LONGEST_TRY = 100.0
_MOST_DEFERRALS = 6
_LONGEST_PAUSE = 100.0  # seconds from one try to the next


@dataclass
class Told:
    """What a schedule has left, for the audit and for the search of what must not be told.

    :param reports: the last report of each execution, oldest first.
    :param pushed: what the task pushed at last.
    :param overlapping: what runs beside it pushed.
    :param after_rerun: leads and history before and after a deliberate re-run.
    """

    story: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    triggers: set[str] = field(default_factory=set)
    reports: list[Record] = field(default_factory=list)
    pushed: Record = field(default_factory=dict)
    overlapping: list[Record] = field(default_factory=list)
    resent: list[str] = field(default_factory=list)
    changed_by_rerun: list[str] = field(default_factory=list)
    leads: list[Record] = field(default_factory=list)
    history: list[Record] = field(default_factory=list)
    before: dict[str, Record] = field(default_factory=dict)
    too_late: list[Record] = field(default_factory=list)
    tries: int = 0


class Course:
    """Runs a schedule.

    :param folder: for its export and results.
    """

    def __init__(self, airflow: RealAirflow, folder: Path, name: str) -> None:
        self.schedule: Schedule = draw(name)
        self.airflow = airflow
        self.folder = folder
        self.told = Told()
        self.story = self.told.story
        self.run: Run | None = None

    def go(self) -> Told:
        """Run it to its end."""
        secret = f"secret-{secrets.token_hex(12)}"
        self.told.secrets.append(secret)
        self.folder.mkdir(parents=True)
        self.door = Door()
        try:
            with EmulatorServer(EmulatorSettings(client_secret=secret)) as emulator:
                self.org = Org(emulator, self.schedule, self.story, self._clear)
                self._begin(emulator.url, secret)
                try:
                    self._tries()
                    self._take_down(emulator)
                except BaseException:
                    self._give_up()
                    raise
                finally:
                    self.told.secrets.extend(emulator.tokens_issued())
        finally:
            self.door.close()
        return self.told

    def _begin(self, url: str, secret: str) -> None:
        conn_id = f"salesforce_{self.schedule.name.replace('-', '_')}"
        connection = {"connection_id": conn_id, "conn_type": "salesforce_leads", "host": url}
        self.airflow.call("POST", "/connections", {**connection, "login": "emulator-key", "password": secret})
        rows = self.schedule.rows
        self.conf = {
            "export": str(self._export()),
            "results_path": str(self.folder / "results"),
            "salesforce_conn_id": conn_id,
            "door": str(self.door.port),
            **self.schedule.parameters,
        }
        self.story.append(f"{len(rows)} rows, {len(self.schedule.standing)} leads before, {self.schedule.parameters}")
        self.run = self._start({})
        self.pending: Visit | None = None

    def _start(self, more: Mapping[str, str]) -> Run:
        dag_id = f"chaos_{self.schedule.mode}"
        body = {"logical_date": None, "conf": {**self.conf, **more}}
        return Run(
            self.airflow, dag_id, self.airflow.call("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"], "sync"
        )

    def _export(self) -> Path:
        rows = list(self.schedule.rows)
        if self.schedule.is_parquet:
            import pyarrow as pa
            import pyarrow.parquet as pq

            path = self.folder / "people.parquet"
            pq.write_table(pa.Table.from_pylist(rows), path)
            return path
        path = self.folder / "people.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return path

    def _tries(self) -> None:
        for trouble in self.schedule.troubles:
            visit: Visit | None = self._at_door()
            if visit is None:
                if self._state() == "success" and not trouble.goes_on:
                    break
                self._clear()
                visit = self._at_door()
            assert visit is not None
            self._disturbed(visit, trouble)
            self.org.sales_move(trouble)
        self._peace()
        for _ in range(self.schedule.reruns):
            self._rerun()

    def _disturbed(self, visit: Visit, trouble: Trouble) -> None:
        companion = Companion(self._start) if trouble.is_overlapped else None
        try:
            self.org.trouble(trouble)
            self._through(visit)
            self.org.calm()
            if companion is not None:
                self.told.overlapping.append(companion.finish())
                self.story.append("  a second run beside it succeeded")
        finally:
            if companion is not None:
                companion.close()

    def _peace(self) -> None:
        self.story.append("peace")
        failed_before = False
        for _ in range(_PEACEFUL_TRIES):
            visit = self._at_door()
            if visit is None and self._state() == "success":
                return
            if visit is None:
                assert not failed_before, "a try that nothing disturbed failed without a retry"
                self._clear()
                visit = self._at_door()
                assert visit is not None
            failed_before = True
            # What may still be committed has to be old enough.
            self._wait_for_commits()
            self._through(visit)
        assert self._at_door() is None, "there is no end to the tries"
        assert self._state() == "success"

    def _wait_for_commits(self) -> None:
        if self.schedule.mode == "plain":
            self.org.settle()
            time.sleep(LATE_COMMIT.total_seconds() + 1)

    def _through(self, visit: Visit) -> None:
        """Let a try in, and follow it to its end, over its deferrals."""
        settled, folder = self._settled()
        self.story.append(f"try {visit.number}")
        self.told.tries += 1
        number = visit.number
        following: Visit | None = visit
        deferrals = 0
        while following is not None:
            assert deferrals <= _MOST_DEFERRALS, "the task defers again and again"
            deferrals += 1
            self.org.let_in(following)
            word = following.wait(_LONGEST_TROUBLE)
            if word is None:
                self.story.append("  all is well again")
                self.org.calm()
                word = following.wait(_LONGEST_TRY) or HANGS
            self.story.append(f"  {word}")
            following = self._at_door() if word == "TaskDeferred" else None
            if following is not None and not following.resumed:
                self.pending, following = following, None
        _, now = self._settled()
        again = settled & self.org.sent_in(number) if now == folder else set()
        if again:
            self.told.resent.append(f"try {number} sent rows again that were settled: {sorted(again)[:10]}")

    def _settled(self) -> tuple[set[str], str | None]:
        """Keys of the rows whose leads are settled in the newest execution so far, and its folder."""
        assert self.run is not None
        folders = sorted(self.folder.glob(f"results/*/{self.run.run_id}/*/*/*"))
        if not folders:
            return set(), None
        lines = results_of({"results_path": str(folders[-1])})
        return {line["key"] for line in lines if line["action"] in SETTLED}, str(folders[-1])

    def _rerun(self) -> None:
        """Clear the task after its success: that changes nothing."""
        emulator = self.org.emulator
        self.org.settle()
        before = (emulator.leads(), emulator.history())
        self.story.append("cleared after success")
        self._clear()
        visit = self._at_door()
        assert visit is not None
        self._through(visit)
        assert self._at_door() is None, "a re-run that nothing disturbed needs a retry"
        assert self._state() == "success"
        self.org.settle()
        if before != (emulator.leads(), emulator.history()):
            self.told.changed_by_rerun.append("a deliberate re-run changed something")

    def _at_door(self) -> Visit | None:
        """The next process at the door; ``None`` where the task has come to its end."""
        pending, self.pending = self.pending, None
        if pending is not None:
            return pending
        deadline = time.monotonic() + _LONGEST_PAUSE
        while time.monotonic() < deadline:
            visit = self.door.next(0.5)
            if visit is not None:
                return visit
            if self._is_over():
                return None
            if self._state() == "deferred":
                self.told.triggers.update(self.airflow.triggers())
        raise AssertionError(f"no further try comes; the task is {self._state()}")

    def _is_over(self) -> bool:
        """Whether the task has come to its end, and Airflow's scheduler has seen that: else a clear goes unnoticed."""
        assert self.run is not None
        path = f"/dags/{self.run.dag_id}/dagRuns/{self.run.run_id}"
        return self._state() in _ENDS and self.airflow.call("GET", path)["state"] in _ENDS

    def _state(self) -> str:
        assert self.run is not None
        return str(self.run.task()["state"])

    def _clear(self) -> None:
        assert self.run is not None
        self.story.append("  cleared")
        self.run.clear()

    def _give_up(self) -> None:
        """Leave no task behind that tries again and again."""
        assert self.run is not None
        with suppress(AssertionError):
            self.run.mark_failed()

    def _take_down(self, emulator: EmulatorServer) -> None:
        assert self.run is not None
        self.org.settle()
        self.told.leads, self.told.history = emulator.leads(), emulator.history()
        self.told.before = self.org.before
        self.told.too_late = self.org.too_late()
        self.told.pushed = self.run.report()
        paths = sorted(self.folder.glob(f"results/*/{self.run.run_id}/*/*/*/report.json"))
        self.told.reports = [json.loads(path.read_text()) for path in paths]
        self.story.append(f"{self.told.reports[-1]}")
