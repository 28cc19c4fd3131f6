"""Run the ingest jobs of a check, by what makes and reads those of a sync."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_sfleads.check.trial import Trial
from airflow_provider_sfleads.core.keys import compared_by
from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.field_values import cell_of
from airflow_provider_sfleads.pipeline.job_results import ERROR, JobResults, Match, match_by
from airflow_provider_sfleads.pipeline.lookup_sources import read_page
from airflow_provider_sfleads.pipeline.staged_rows import FIELD, staged_schema, write_csv
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo, JobSpec, create_job, job_of
from airflow_provider_sfleads.salesforce.job_control import Jobs, ResultFiles
from airflow_provider_sfleads.salesforce.wire import Record

if TYPE_CHECKING:
    import pyarrow as pa

_LABEL = "trial"


class StillQueued(Exception):  # noqa: N818 - a finding
    """A job is not over, and the check waits no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    """A job that is over, and its results.

    :param job: as Salesforce describes it.
    :param batch: its rows, staged as a sync stages them.
    :param files: its result files.
    """

    job: JobInfo
    batch: pa.RecordBatch
    files: ResultFiles

    @contextmanager
    def results(self, match: Match, folder: Path, external: str | None = None) -> Iterator[JobResults]:
        """Bring rows and results together, as a sync does.

        :param match: by what.
        :param folder: for the texts of errors.
        :param external: field whose ``DUPLICATE_VALUE`` says that a lead exists.
        """
        known = match.of_load(self.batch)
        folder.mkdir(exist_ok=True)
        with JobResults(known, match, job_id=self.job.id, directory=folder, external=external) as results:
            if self.files.successful is not None:
                results.add_successful(self.files.successful)
            if self.files.failed is not None:
                results.add_failed(self.files.failed)
            if self.files.unprocessed is not None:
                results.add_unprocessed(self.files.unprocessed)
            yield results

    def errors_by(self, column: str) -> list[tuple[str, str]]:
        """Return a column's value and the error of each failed row, in no order."""
        if self.files.failed is None:
            return []
        batches = list(read_page(self.files.failed, (column, ERROR)))
        return [
            (str(value), str(error))
            for batch in batches
            for value, error in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)
        ]


class TrialJobs:
    """Makes jobs for a trial and waits for them, all together no longer than its timeout.

    :param trial: whose.
    :param clock: seconds.
    """

    def __init__(self, trial: Trial, clock: Callable[[], float] = time.monotonic) -> None:
        self._trial, self._clock = trial, clock
        self._left = trial.timeouts.jobs
        self.jobs = Jobs(
            send=trial.send,
            download=trial.download,
            conn_id=trial.conn_id,
            user_id=trial.user_id,
            note=self._note,
            verify=lambda: None,
            pause=trial.signals.pause,
            now=lambda: datetime.now(UTC),
        )

    def _note(self, _label: str, job_id: str | None) -> None:
        if job_id is not None:
            self._trial.jobs.add(job_id)
            self._trial.unread.add(job_id)

    def run(self, kind: PageKind, records: Sequence[Record], ids: Sequence[str] = ()) -> FinishedJob:
        """Send records through a job, without an assignment rule, and fetch its results.

        :param ids: of the leads, for an update.
        :raises StillQueued: where it does not end in time.
        """
        batch = self._staged(records, ids)
        fields = [name.removeprefix(FIELD) for name in batch.schema.names if name.startswith(FIELD)]
        csv = self._trial.folder / f"{len(self._trial.jobs)}.csv"
        write_csv([batch], csv, fields, by_id=kind.operation == "update")
        spec = JobSpec(operation=kind.operation, external_id_field=kind.external_id_field)
        job = self._finished(self.jobs.start(_LABEL, spec, csv))
        files = self.jobs.fetch(job, self._trial.folder, rows=len(records))
        self._trial.learn(job.id, files.successful)
        return FinishedJob(job=job, batch=batch, files=files)

    def create(self, spec: JobSpec) -> JobInfo:
        """Create a job and leave it open."""
        call = create_job(spec)
        job = job_of(call, self._trial.send(call), conn_id=self._trial.conn_id)
        self._note(_LABEL, job.id)
        return job

    def by_key(self, kind: PageKind) -> Match:
        """Tell rows apart by their keys."""
        return match_by(kind, self._trial.key, ())

    def by_values(self, kind: PageKind, ended: FinishedJob) -> Match:
        """Tell rows apart by all their values, as where there is no key."""
        fields = tuple(name.removeprefix(FIELD) for name in ended.batch.schema.names if name.startswith(FIELD))
        return match_by(kind, None, fields)

    def _finished(self, job: JobInfo) -> JobInfo:
        began = self._clock()
        while not job.is_over:
            elapsed = self._clock() - began
            if elapsed > self._left:
                raise StillQueued(
                    f"Job {job.id} is {job.state} after {self._trial.timeouts.jobs:g} seconds for all jobs of the "
                    "check; the org's queue is long."
                )
            self._trial.signals.pause(self._trial.timeouts.poll(elapsed))
            found = self.jobs.look(job.id)
            if found is None:
                raise ServiceUnavailableError(f"Job {job.id} was deleted before it was over.")
            job = found
        self._left -= self._clock() - began
        return job

    def _staged(self, records: Sequence[Record], ids: Sequence[str]) -> pa.RecordBatch:
        import pyarrow as pa

        fields = list(dict.fromkeys(name for record in records for name in record))
        schema = staged_schema(fields, pa.schema([]), placed=True)
        compare = compared_by(self._trial.key)
        keys = [str(record.get(self._trial.key.name, "")) for record in records]
        columns: dict[str, list[object]] = {name: [None] * len(records) for name in schema.names}
        columns |= {"key": list(keys), "match": list(map(compare, keys))}
        if ids:
            columns["salesforce_id"] = list(ids)
        for name in fields:
            columns[FIELD + name] = [cell_of(record[name]) if name in record else None for record in records]
        return pa.RecordBatch.from_pydict(columns, schema=schema)
