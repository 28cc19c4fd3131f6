"""Probe what only Bulk API 2.0 ingest jobs show; they are made and read by what makes and reads those of a sync."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_sfleads.check.access import LANGUAGE
from airflow_provider_sfleads.check.probe import Assumption, Finding, Probe
from airflow_provider_sfleads.check.trial import INSERT, NO_RULE, UPDATE, Need, StillQueued, Trial
from airflow_provider_sfleads.check.trial_values import JOB, RoundTrip, odd_record, renamed
from airflow_provider_sfleads.check.write_collections import judge_owner
from airflow_provider_sfleads.core.keys import compared_by
from airflow_provider_sfleads.core.same import same_record
from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.field_values import cell_of
from airflow_provider_sfleads.pipeline.job_results import ERROR, Created, JobResults, State, match_by
from airflow_provider_sfleads.pipeline.result_file import read_page
from airflow_provider_sfleads.pipeline.staged_rows import FIELD, field_names, staged_schema, write_csv
from airflow_provider_sfleads.salesforce import ingest_jobs
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo, JobSpec, JobState
from airflow_provider_sfleads.salesforce.job_control import Jobs, ResultFiles
from airflow_provider_sfleads.salesforce.wire import Record

if TYPE_CHECKING:
    import pyarrow as pa

_LABEL = "trial"
_NOT_FOUND = 404
_NO_CONTENT = 204

_INSERT = Assumption(
    name="jobs.insert",
    text="An insert job makes leads",
    expected="JobComplete, and the leads are there",
    remedy="Take api='collections', or see under Setup > Bulk Data Load Jobs why the job's rows fail.",
)
_ECHO = Assumption(
    name="jobs.echo",
    text="A job's results repeat each row as it was uploaded, so that rows without a key are found by their values",
    expected="all rows found, and no others",
    remedy="In bulk, name an external_id_field: rows are then found by their keys.",
)
_NO_RULE = Assumption(
    name="jobs.no_rule",
    text="A job without assignmentRuleId runs no assignment rule",
    expected="the Run-As user owns the lead",
    remedy="assignment_rule=None has no effect here in bulk. Look for a trigger or a flow that changes owners.",
)
_TWICE = Assumption(
    name="jobs.same_key_twice",
    text="Of two rows with one key in a job no two leads are made",
    expected="DUPLICATE_VALUE for one, or for both",
    remedy="Tick Unique on the external-ID field.",
)
_EXISTING = Assumption(
    name="jobs.existing_key",
    text="A row whose key exists is refused by an insert job",
    expected="DUPLICATE_VALUE",
    remedy="Tick Unique on the external-ID field: without it a lead can be made twice.",
)
_WORDING = Assumption(
    name="duplicates.wording",
    text="DUPLICATE_VALUE names field and lead in English, so that an existing lead takes no closer look",
    expected="duplicate value found: <field> duplicates value on record with id: <id>",
    remedy="Set the Run-As user's language to English. Until then rows of leads that exist take a closer look, and a "
    "look-up where no lead is named: slower, and no less right.",
)
_UPDATE = Assumption(
    name="jobs.update",
    text="An update job changes leads by id, and its results name them",
    expected="JobComplete, success, and the new value",
    remedy="Give the Run-As user Edit on Lead and on its fields, or take api='collections'.",
)
_UPSERT = Assumption(
    name="jobs.upsert_created",
    text="An upsert job says of each row whether it created the lead",
    expected="sf__Created false for the lead that exists, true for the new one",
    remedy="With existing='update' in bulk, created and updated are not told apart here: take api='collections'.",
)
_ABORT = Assumption(
    name="jobs.abort",
    text="An open job can be aborted",
    expected=JobState.ABORTED.value,
    remedy="Jobs of a killed task stay open; abort them under Setup > Bulk Data Load Jobs.",
)
_DELETE = Assumption(
    name="jobs.delete",
    text="A job that is over can be deleted, and is not found any more",
    expected="HTTP 204, then 404",
    remedy="Salesforce deletes jobs after seven days. Report what is told of the job instead.",
)


def write_jobs(trial: Trial) -> list[Probe]:
    """Return the probes."""
    jobs = _TrialJobs(trial)
    inserted = (_INSERT, _ECHO, _NO_RULE, _TWICE, _EXISTING)
    return [
        trial.probe(partial(_insert, jobs=jobs), *inserted, needs=(Need.LEAD,)),
        trial.probe(_wording, _WORDING),
        trial.probe(partial(_update, jobs=jobs), _UPDATE, needs=(Need.LEAD, Need.UPDATE)),
        trial.probe(partial(_upsert, jobs=jobs), _UPSERT, needs=(Need.SECOND, Need.UPDATE)),
        trial.probe(partial(_abort, jobs=jobs), _ABORT, _DELETE),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _FinishedJob:
    """A job that is over, and its results.

    :param kind: what its rows were sent as.
    :param job: as Salesforce describes it.
    :param batch: its rows, staged as a sync stages them.
    :param files: its result files.
    """

    trial: Trial
    kind: PageKind
    job: JobInfo
    batch: pa.RecordBatch
    files: ResultFiles

    @contextmanager
    def results(self, *, by_values: bool = False) -> Iterator[JobResults]:
        """Bring rows and results together, as a sync does.

        :param by_values: tell rows apart by all their values, as where there is no key.
        """
        trial, files = self.trial, self.files
        match = match_by(self.kind, None if by_values else trial.key, field_names(self.batch.schema))
        with JobResults(
            match.of_load(self.batch), match, job_id=self.job.id, directory=trial.folder, external=trial.key.name
        ) as results:
            if files.successful is not None:
                results.add_successful(files.successful)
            if files.failed is not None:
                results.add_failed(files.failed)
            if files.unprocessed is not None:
                results.add_unprocessed(files.unprocessed)
            yield results

    def codes(self, record: Record) -> str:
        """Say how the rows with a record's key failed."""
        failed = self.files.failed
        batches = read_page(failed, (self.trial.key.name, ERROR)) if failed is not None else ()
        rows = [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]
        compare = compared_by(None)
        key = compare(self.trial.key_of(record))
        codes = [ingest_jobs.row_error(str(text)).code for found, text in rows if compare(str(found).strip()) == key]
        return ", ".join(codes) or "no row refused"


class _TrialJobs:
    """Makes jobs for a trial and waits for them, all together no longer than its timeout.

    :param trial: whose.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._left = trial.org.timeouts.jobs
        self.jobs = Jobs(
            send=trial.send,
            download=trial.download,
            conn_id=trial.conn_id,
            user_id=trial.user_id,
            note=self.note,
            verify=lambda: None,
            pause=trial.signals.pause,
            now=lambda: datetime.now(UTC),
        )

    def note(self, _label: str, job_id: str | None) -> None:
        """Have the trial remember a job."""
        if job_id is not None:
            self._trial.jobs.add(job_id)
            self._trial.unread.add(job_id)

    def run(self, kind: PageKind, *records: Record, lead_id: str = "") -> _FinishedJob:
        """Send records through a job, without an assignment rule, and fetch its results.

        :param lead_id: of the lead, for an update of one.
        :raises StillQueued: where it does not end in time.
        """
        trial = self._trial
        batch = _staged(trial, records, lead_id)
        csv = trial.folder / f"{len(trial.jobs)}.csv"
        write_csv([batch], csv, field_names(batch.schema), by_id=kind.operation == "update")
        spec = JobSpec(operation=kind.operation, external_id_field=kind.external_id_field)
        job = self._finished(self.jobs.start(_LABEL, spec, csv))
        files = self.jobs.fetch(job, trial.folder, rows=len(records))
        trial.learn(job.id, files.successful)
        return _FinishedJob(trial=trial, kind=kind, job=job, batch=batch, files=files)

    def _finished(self, job: JobInfo) -> JobInfo:
        began = time.monotonic()
        while not job.is_over:
            elapsed = time.monotonic() - began
            if elapsed > self._left:
                raise StillQueued(
                    f"Job {job.id} is {job.state} after {self._trial.org.timeouts.jobs:g} seconds for all jobs of the "
                    "check; the org's queue is long."
                )
            self._trial.signals.pause(self._trial.org.timeouts.poll(elapsed))
            found = self.jobs.look(job.id)
            if found is None:
                raise ServiceUnavailableError(f"Job {job.id} was deleted before it was over.")
            job = found
        self._left -= time.monotonic() - began
        return job


def _staged(trial: Trial, records: Sequence[Record], lead_id: str) -> pa.RecordBatch:
    import pyarrow as pa

    fields = list(dict.fromkeys(name for record in records for name in record))
    schema = staged_schema(fields, pa.schema([]), placed=True)
    keys = [str(record.get(trial.key.name, "")) for record in records]
    columns: dict[str, list[object]] = {name: [None] * len(records) for name in schema.names}
    columns |= {"key": list(keys), "match": list(map(compared_by(trial.key), keys))}
    if lead_id:
        columns["salesforce_id"] = [lead_id]
    for name in fields:
        columns[FIELD + name] = [cell_of(record[name]) if name in record else None for record in records]
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def _insert(trial: Trial, jobs: _TrialJobs) -> Iterator[Finding]:
    odd = odd_record(trial.odd_fields, JOB)
    strange, plain, twice = trial.person(**odd), trial.person(), trial.person()
    existing = {**trial.person(), trial.key.name: trial.base[trial.key.name]}
    ended = jobs.run(INSERT, strange, plain, twice, trial.again(twice), existing)
    made = trial.by_key(plain, "OwnerId")
    there = "is there" if made else "is not there"
    yield _INSERT.judged(f"{ended.job.state}, and the lead {there}", holds=ended.job.succeeded and len(made) == 1)
    trial.round_trips[JOB] = _trip(trial, ended, strange, odd)
    yield _echo(ended)
    if trial.active_rule is None:
        yield _NO_RULE.not_tried(NO_RULE, "Activate a lead assignment rule to have it tried.")
    elif len(made) != 1 or "OwnerId" not in made[0]:
        yield _NO_RULE.not_tried("there is no lead whose owner could be read")
    else:
        yield judge_owner(trial, _NO_RULE, made[0])
    pair = len(trial.by_key(twice))
    yield _TWICE.judged(f"{ended.codes(twice)}; leads made: {pair}", holds=pair <= 1)
    yield _existing(trial, ended, existing)


def _trip(trial: Trial, ended: _FinishedJob, record: Record, odd: Record) -> RoundTrip:
    found = trial.by_key(record)
    if not found:
        return RoundTrip(sent=odd, problem=f"their lead was refused in a job ({ended.codes(record)})")
    return RoundTrip(sent=odd, back=trial.by_id(to_18(found[0]["Id"]) or "", odd))


def _echo(ended: _FinishedJob) -> Finding:
    with ended.results(by_values=True) as results:
        silent = sum(state == State.SILENT for state in results.said(0, ended.batch.num_rows).states)
    seen = f"rows not found: {silent}, others: {results.strangers}"
    return _ECHO.judged(seen, holds=not silent and not results.strangers)


def _existing(trial: Trial, ended: _FinishedJob, record: Record) -> Finding:
    """Judge what became of the last row."""
    with ended.results() as results:
        said = results.said(ended.batch.num_rows - 1, 1)
    if said.states[0] == State.FAILED:
        # The bulk reader knows Salesforce's own words to the letter; all others cost a look-up.
        trial.worded[JOB] = bool(said.ids[0])
    codes = ended.codes(record)
    return _EXISTING.judged(codes, holds=codes == "DUPLICATE_VALUE")


def _wording(trial: Trial) -> Iterator[Finding]:
    seen = [f"{way}: {'names both' if named else 'does not'}" for way, named in trial.worded.items()]
    foreign = trial.org.foreign_language
    if seen and foreign and not all(trial.worded.values()):
        # One cause, one line: who mends the language has mended the words.
        yield _WORDING.not_tried(f"{'; '.join(seen)}, in {foreign}", f"See {LANGUAGE.name}.")
    elif seen:
        yield _WORDING.judged("; ".join(seen), holds=all(trial.worded.values()))
    else:
        yield _WORDING.not_tried("no second lead with a key that exists was refused")


def _update(trial: Trial, jobs: _TrialJobs) -> Iterator[Finding]:
    changed = renamed(trial.lead, f"{trial.prefix}update job")
    ended = jobs.run(UPDATE, changed, lead_id=trial.base_id)
    with ended.results() as results:
        state = State(results.said(0, 1).states[0])
    same = same_record(trial.lead, changed, trial.by_id(trial.base_id, changed))
    seen = f"{ended.job.state}, row {state.name.lower()}, and the {'new' if same else 'old'} value"
    yield _UPDATE.judged(seen, holds=ended.job.succeeded and state == State.SUCCEEDED and same)


def _upsert(trial: Trial, jobs: _TrialJobs) -> Iterator[Finding]:
    kind = PageKind(operation="upsert", external_id_field=trial.key.name)
    old = {trial.key.name: trial.second[trial.key.name], **renamed(trial.lead, f"{trial.prefix}upsert job")}
    ended = jobs.run(kind, old, trial.person())
    with ended.results() as results:
        created = [Created(one).name.lower() for one in results.said(0, 2).created]
    yield _UPSERT.judged(f"created: {', '.join(created)}", holds=created == ["no", "yes"])


def _abort(trial: Trial, jobs: _TrialJobs) -> Iterator[Finding]:
    call = ingest_jobs.create_job(JobSpec(operation="insert"))
    job = ingest_jobs.job_of(call, trial.send(call), conn_id=trial.conn_id)
    jobs.note(_LABEL, job.id)
    call = ingest_jobs.abort_job(job.id)
    state = ingest_jobs.job_of(call, trial.send(call), conn_id=trial.conn_id).state
    found = jobs.jobs.look(job.id)
    state = state if found is None else found.state
    yield _ABORT.judged(state.value, holds=state is JobState.ABORTED)
    gone = trial.send(ingest_jobs.delete_job(job.id)).status
    after = trial.send(ingest_jobs.get_job(job.id)).status
    yield _DELETE.judged(f"HTTP {gone}, then {after}", holds=(gone, after) == (_NO_CONTENT, _NOT_FOUND))
