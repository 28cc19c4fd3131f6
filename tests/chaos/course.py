"""One schedule from the first try to the first that nothing disturbs, in a real Airflow."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings
from tests.chaos.companion import Companion
from tests.chaos.door import Door, Visit
from tests.chaos.drawing import Record, Trouble
from tests.chaos.following import Following
from tests.chaos.operators import LATE_COMMIT
from tests.chaos.org import Org
from tests.chaos.told import Told
from tests.chaos.warehouse import Warehouse
from tests.detaching import detach
from tests.integration.real_airflow import Run

_PEACEFUL_TRIES = 6


class Course(Following):
    """Runs a schedule."""

    def go(self) -> Told:
        """Run it to its end."""
        secret = f"secret-{secrets.token_hex(12)}"
        self.told.secrets.append(secret)
        self.folder.mkdir(parents=True)
        self.door = Door()
        try:
            with EmulatorServer(EmulatorSettings(client_secret=secret)) as emulator:
                self.org = Org(
                    emulator,
                    self.schedule,
                    self.story,
                    self.told.struck,
                    restart=self._clear,
                    detach=self._detach,
                    warehouse=Warehouse(self.warehouse, self._table_name, self.story, self.told.struck),
                )
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
            "table": self._table_name,
            **self.schedule.parameters,
            **self._more(),
        }
        self.story.append(f"{len(rows)} rows, {len(self.schedule.standing)} leads before, {self.schedule.parameters}")
        self.run = self._start({})

    def _more(self) -> dict[str, str]:
        """Further entries of the conf."""
        return {}

    @property
    def _table_name(self) -> str:
        return self.schedule.name.replace("-", "_")

    def _dag_id(self) -> str:
        return f"chaos_{self.schedule.mode}"

    def _start(self, more: Mapping[str, str]) -> Run:
        dag_id = self._dag_id()
        body = {"logical_date": None, "conf": {**self.conf, **more}}
        return Run(
            self.airflow, dag_id, self.airflow.call("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"], "sync"
        )

    def _export(self) -> Path:
        return self._file("people", list(self.schedule.rows))

    def _file(self, name: str, rows: list[Record]) -> Path:
        if self.schedule.is_parquet:
            import pyarrow as pa
            import pyarrow.parquet as pq

            path = self.folder / f"{name}.parquet"
            pq.write_table(pa.Table.from_pylist(rows), path)
            return path
        path = self.folder / f"{name}.jsonl"
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
        self.is_beside = companion is not None
        try:
            self.org.trouble(trouble)
            self.doze = trouble.doze
            self._through(visit)
            self.org.calm()
            if companion is not None:
                self.told.overlapping.append(companion.finish())
                self.told.struck["a second run"] += 1
                self.story.append("  a second run beside it succeeded")
        finally:
            if companion is not None:
                companion.close()
                self.is_beside = False

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
            self.told.broken.append("a deliberate re-run changed something")
        self.told.struck["a re-run"] += 1

    def _clear(self) -> None:
        assert self.run is not None
        self.story.append("  cleared")
        self.run.clear()

    def _detach(self) -> bool:
        """Put an empty folder in the place of what holds the results."""
        results = self.folder / "results"
        if not results.exists():
            return False
        self.detached += 1
        detach(results, to=f"results.detached-{self.detached}")
        return True

    def _give_up(self) -> None:
        """Leave no task behind that tries again and again."""
        assert self.run is not None
        self.org.wake()
        with suppress(AssertionError):
            self.run.mark_failed()

    def _take_down(self, emulator: EmulatorServer) -> None:
        assert self.run is not None
        self.org.settle()
        self.told.leads, self.told.history = emulator.leads(), emulator.history()
        self.told.before, self.told.known = self.org.before, self.org.known
        self.told.too_late = self.org.too_late()
        self.told.pushed = self._pushed()
        paths = sorted(self.folder.glob(f"results/*/{self.run.run_id}/*/*/*/report.json"))
        assert paths, "there is no report"
        self.told.struck["match_email"] += bool(self.schedule.by_mail)
        self.told.struck["mapped"] += self.schedule.mode == "mapped"
        self.told.struck["deferrable"] += bool(self.told.struck["deferred"])
        self.told.reports = [json.loads(path.read_text()) for path in paths]
        self.story.append(f"{self.told.reports[-1]}")

    def _pushed(self) -> list[Record]:
        assert self.run is not None
        return [self.run.report()]

    def _table(self) -> list[Record]:
        """The table of the write-back."""
        with psycopg.connect(self.warehouse, row_factory=dict_row) as connection:
            return connection.execute(SQL("SELECT * FROM {}").format(Identifier(self.conf["table"]))).fetchall()
