"""What works the jobs off in the background: a thread that takes whichever job is due, step by step."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_sfleads.emulator import bulk_csv, bulk_query, bulk_rows
from airflow_provider_sfleads.emulator.bulk_jobs import ACTIVE, Job, State
from airflow_provider_sfleads.emulator.ids import to_18

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator

log = logging.getLogger(__name__)

# What Salesforce saves together, and what triggers see together.
CHUNK = 200
# How often the counters of a job that is counted move.
_TICK = 0.1


class Worker:
    """Works the jobs of one emulator off, each at `bulk_rate` rows a second."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._jobs = emulator.jobs
        self._rows: dict[str, Iterator[list[str]]] = {}
        self._thread: threading.Thread | None = None
        self._stopped = False
        with self._jobs.changed:
            if self._active():
                self._begin()

    def start(self, job: Job, now: str) -> None:
        """Take up a job whose upload is complete. Hold `Jobs.changed`."""
        job.state = "UploadComplete"
        job.due = time.monotonic() + self._emulator.settings.bulk_delay
        self._jobs.save(job, now)
        self._begin()

    def _begin(self) -> None:
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="salesforce-emulator-bulk", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Bring all jobs that are under way to their end, however slow they are set to be."""
        with self._jobs.changed:
            while self._active():
                for job in self._active():
                    job.due = float("-inf")
                self._jobs.changed.notify_all()
                self._jobs.changed.wait(1.0)

    def fail(self, job_id: str, message: str) -> None:
        """End a job as Failed; raises LookupError where there is none that could."""
        self._end(job_id, "Failed", message)

    def abort(self, job_id: str) -> None:
        """End a job as Aborted; raises LookupError where there is none that could."""
        self._end(job_id, "Aborted", None)

    def _end(self, job_id: str, state: State, message: str | None) -> None:
        with self._jobs.changed:
            job = self._jobs.find(to_18(job_id))
            if job is None or job.over:
                reason = f"no job {job_id} that is not over"
                raise LookupError(reason)
            self._jobs.end(job, state, self._emulator.now_text(), message)

    def stop(self) -> None:
        """End the thread."""
        with self._jobs.changed:
            self._stopped = True
            self._jobs.changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _active(self) -> list[Job]:
        return [job for job in self._jobs.all() if job.state in ACTIVE]

    def _run(self) -> None:
        while not self._stopped:
            with self._jobs.changed:
                self._turn()
            # Without a pause this thread would have the lock again before those who wait for it wake up.
            time.sleep(0.0003)

    def _turn(self) -> None:
        job = min(self._active(), key=lambda job: job.due, default=None)
        if job is None:
            self._rows.clear()
            if not self._stopped:
                self._jobs.changed.wait()
            return
        left = job.due - time.monotonic()
        if left > 0:
            self._jobs.changed.wait(left)
            return
        try:
            self._advance(job)
        except Exception:
            log.exception("The emulator failed on job %s", job.id)
            self._jobs.end(job, "Failed", self._emulator.now_text(), "InternalServerError : the emulator failed")

    def _advance(self, job: Job) -> None:
        if job.state == "UploadComplete":
            self._open(job)
        else:
            self._step(job)

    def _open(self, job: Job) -> None:
        """Read what there is to do; a file that cannot be read ends the job before a row of it is written."""
        emulator, now = self._emulator, self._emulator.now_text()
        job.started = time.monotonic()
        problem = bulk_query.run(emulator, job) if job.query is not None else self._problem(job)
        if problem is not None:
            self._jobs.end(job, "Failed", now, problem)
            return
        job.allowed = job.rows if job.query is not None else self._allowed(job)
        if job.counted and job.operation in {"insert", "upsert"}:
            job.first_number = emulator.settings.virtual_leads + self._jobs.leads_counted + 1
            self._jobs.leads_counted += job.allowed
        job.state = "InProgress"
        self._wait(job)
        self._jobs.save(job, now)

    def _problem(self, job: Job) -> str | None:
        if job.content is None:
            return "InvalidBatch : Records not found"
        if job.content.problem is not None:
            return job.content.problem
        unknown = bulk_rows.unknown_column(job.content.columns, self._emulator.schema)
        return None if unknown is None else f"InvalidBatch : Field name not found : {unknown}"

    def _allowed(self, job: Job) -> int:
        settings = self._emulator.settings
        wanted = -(-job.rows // settings.bulk_batch_rows)
        batches = min(wanted, max(0, settings.bulk_batch_limit - self._jobs.batches_used))
        self._jobs.batches_used += batches
        return min(job.rows, batches * settings.bulk_batch_rows)

    def _wait(self, job: Job) -> None:
        rate = self._emulator.settings.bulk_rate
        if job.due == float("-inf"):
            return
        if rate is None:
            job.due = time.monotonic()
        else:
            job.due = max(job.due, time.monotonic() - 1) + self._next(job) / rate

    def _next(self, job: Job) -> int:
        """Return how many rows the next step takes."""
        settings = self._emulator.settings
        end = job.rows if job.allowed is None else job.allowed
        if settings.bulk_fail_after is not None:
            end = min(end, settings.bulk_fail_after)
        left = max(0, end - job.processed)
        hurried = settings.bulk_rate is None or job.due == float("-inf")
        if job.counted or job.query is not None:
            return left if hurried else min(left, max(1, int((settings.bulk_rate or 0) * _TICK)))
        return min(left, CHUNK)

    def _step(self, job: Job) -> None:
        count = self._next(job)
        if count and not job.counted and job.query is None:
            problem = self._write(job, count)
            if problem is not None:
                self._jobs.end(job, "Failed", self._emulator.now_text(), problem)
                return
        else:
            job.processed += count
        fails_after = self._emulator.settings.bulk_fail_after
        if job.query is None and fails_after is not None and job.processed >= min(fails_after, job.rows):
            message = f"InternalServerError : Processing stopped after {job.processed} records"
            self._jobs.end(job, "Failed", self._emulator.now_text(), message)
        elif job.processed >= (job.rows if job.allowed is None else job.allowed):
            self._jobs.end(job, "JobComplete", self._emulator.now_text())
        else:
            self._wait(job)
            self._jobs.save(job)

    def _write(self, job: Job, count: int) -> str | None:
        """Write the next rows and keep their results; what is wrong with the file where that shows only now."""
        content = job.content
        if content is None:
            return "InvalidBatch : Records not found"
        if job.id not in self._rows:
            path = self._jobs.file(job, "upload")
            self._rows[job.id] = bulk_csv.cells(path, content, job.form, skip=job.processed)
        taken, problem = self._take(job, count, len(content.columns))
        if taken:
            results = bulk_rows.write_rows(self._emulator, job, taken)
            good, bad = bulk_rows.result_lines(job, taken, results, self._emulator.settings.broken)
            for kind, lines in (("successful", good), ("failed", bad)):
                with self._jobs.file(job, kind).open("a", encoding="utf-8", newline="") as file:
                    file.write(lines)
            job.failed += sum(1 for result in results if not result.success)
            job.processed += len(taken)
        if not problem and len(taken) < count:
            # Empty lines were counted as records.
            job.allowed = job.processed
        return problem

    def _take(self, job: Job, count: int, width: int) -> tuple[list[list[str]], str | None]:
        taken: list[list[str]] = []
        try:
            while len(taken) < count:
                row = next(self._rows[job.id], None)
                if row is None:
                    break
                if len(row) != width:
                    at = job.processed + len(taken) + 1
                    return taken, f"InvalidBatch : Record {at} has {len(row)} values, the header has {width}"
                taken.append(row)
        except ValueError as error:
            return taken, f"InvalidBatch : Failed to parse CSV. {error}"
        return taken, None
