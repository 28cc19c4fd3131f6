"""Probe what only Bulk API 2.0 ingest jobs show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from airflow_provider_sfleads.check.access import LANGUAGE
from airflow_provider_sfleads.check.probe import Assumption, Finding, Probe
from airflow_provider_sfleads.check.trial import INSERT, NO_RULE, UPDATE, Need, Trial
from airflow_provider_sfleads.check.trial_jobs import FinishedJob, StillQueued, TrialJobs
from airflow_provider_sfleads.check.trial_values import JOB, RoundTrip, renamed
from airflow_provider_sfleads.check.write_collections import judge_owner
from airflow_provider_sfleads.core.keys import compared_by
from airflow_provider_sfleads.core.same import same_record
from airflow_provider_sfleads.pipeline.job_results import Created, State
from airflow_provider_sfleads.salesforce import ingest_jobs
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.ingest_jobs import JobSpec, JobState
from airflow_provider_sfleads.salesforce.wire import Record

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
    jobs = TrialJobs(trial)
    inserted = (_INSERT, _ECHO, _NO_RULE, _TWICE, _EXISTING)
    return [
        trial.probe(_patient(_insert, jobs, *inserted), *inserted, needs=(Need.LEAD,)),
        trial.probe(_wording, _WORDING),
        trial.probe(_patient(_update, jobs, _UPDATE), _UPDATE, needs=(Need.LEAD, Need.UPDATE)),
        trial.probe(_patient(_upsert, jobs, _UPSERT), _UPSERT, needs=(Need.SECOND, Need.UPDATE)),
        trial.probe(_patient(_abort, jobs, _ABORT, _DELETE), _ABORT, _DELETE),
    ]


def _patient(
    ask: Callable[[Trial, TrialJobs], Iterable[Finding]], jobs: TrialJobs, *assumptions: Assumption
) -> Callable[[Trial], Iterator[Finding]]:
    def asked(trial: Trial) -> Iterator[Finding]:
        try:
            yield from ask(trial, jobs)
        except StillQueued as late:
            yield from (assumption.not_tried(str(late), "Try again later.") for assumption in assumptions)

    return asked


def _insert(trial: Trial, jobs: TrialJobs) -> Iterator[Finding]:
    odd = trial.odd_fields.record(JOB)
    strange, plain, twice = trial.person(**odd), trial.person(), trial.person()
    existing = {**trial.person(), trial.key.name: (trial.base or {})[trial.key.name]}
    ended = jobs.run(INSERT, [strange, plain, twice, trial.again(twice), existing])
    errors = ended.errors_by(trial.key.name)
    made = trial.by_key([plain], _seen(trial, "OwnerId"))
    there = "is there" if made else "is not there"
    yield _INSERT.judged(f"{ended.job.state}, and the lead {there}", holds=ended.job.succeeded and len(made) == 1)
    trial.round_trips[JOB] = _trip(trial, strange, odd, errors)
    yield _echo(trial, jobs, ended)
    if trial.active_rule() is None:
        yield _NO_RULE.not_tried(NO_RULE, "Activate a lead assignment rule to have it tried.")
    elif len(made) != 1 or "OwnerId" not in made[0]:
        yield _NO_RULE.not_tried("there is no lead whose owner could be read")
    else:
        yield judge_owner(trial, _NO_RULE, made[0])
    pair = len(trial.by_key([twice]))
    yield _TWICE.judged(f"{_codes(trial.key_of(twice), errors)}; leads made: {pair}", holds=pair <= 1)
    yield _existing(trial, jobs, ended, _codes(trial.key_of(existing), errors))


def _seen(trial: Trial, *names: str) -> tuple[str, ...]:
    return tuple(info.name for name in names if (info := trial.lead.find(name)) is not None)


def _codes(key: str, errors: Iterable[tuple[str, str]]) -> str:
    """Say how the rows of a key failed."""
    compare = compared_by(None)
    codes = [ingest_jobs.row_error(text).code for failed, text in errors if compare(failed.strip()) == compare(key)]
    return ", ".join(codes) or "no row refused"


def _trip(trial: Trial, record: Record, odd: Record, errors: Iterable[tuple[str, str]]) -> RoundTrip:
    found = trial.by_key([record])
    if not found:
        return RoundTrip(sent=odd, problem=f"their lead was refused in a job ({_codes(trial.key_of(record), errors)})")
    return RoundTrip(sent=odd, back=trial.by_id(to_18(found[0]["Id"]) or "", odd))


def _echo(trial: Trial, jobs: TrialJobs, ended: FinishedJob) -> Finding:
    with ended.results(jobs.by_values(INSERT, ended), trial.folder / "values") as results:
        silent = sum(state == State.SILENT for state in results.said(0, ended.batch.num_rows).states)
        seen = f"rows not found: {silent}, others: {results.strangers}"
        return _ECHO.judged(seen, holds=not silent and not results.strangers)


def _existing(trial: Trial, jobs: TrialJobs, ended: FinishedJob, codes: str) -> Finding:
    with ended.results(jobs.by_key(INSERT), trial.folder / "keys", trial.key.name) as results:
        said = results.said(ended.batch.num_rows - 1, 1)
        if said.states[0] == State.FAILED:
            # The bulk reader knows Salesforce's own words to the letter; all others cost a look-up.
            trial.worded[JOB] = bool(said.ids[0])
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


def _update(trial: Trial, jobs: TrialJobs) -> Iterator[Finding]:
    changed = renamed(trial.lead, f"{trial.prefix}update job")
    ended = jobs.run(UPDATE, [changed], [trial.base_id])
    with ended.results(jobs.by_key(UPDATE), trial.folder / "update") as results:
        state = State(results.said(0, 1).states[0])
    same = same_record(trial.lead, changed, trial.by_id(trial.base_id, changed))
    value = "new" if same else "old"
    seen = f"{ended.job.state}, row {state.name.lower()}, and the {value} value"
    yield _UPDATE.judged(seen, holds=ended.job.succeeded and state == State.SUCCEEDED and same)


def _upsert(trial: Trial, jobs: TrialJobs) -> Iterator[Finding]:
    kind = PageKind(operation="upsert", external_id_field=trial.key.name)
    new = trial.person()
    old = {trial.key.name: trial.second[trial.key.name], **renamed(trial.lead, f"{trial.prefix}upsert job")}
    ended = jobs.run(kind, [old, new])
    with ended.results(jobs.by_key(kind), trial.folder / "upsert") as results:
        created = [Created(one).name.lower() for one in results.said(0, 2).created]
    yield _UPSERT.judged(f"created: {', '.join(created)}", holds=created == ["no", "yes"])


def _abort(trial: Trial, jobs: TrialJobs) -> Iterator[Finding]:
    job = jobs.create(JobSpec(operation="insert"))
    call = ingest_jobs.abort_job(job.id)
    state = ingest_jobs.job_of(call, trial.send(call), conn_id=trial.conn_id).state
    found = jobs.jobs.look(job.id)
    state = state if found is None else found.state
    yield _ABORT.judged(state.value, holds=state is JobState.ABORTED)
    gone = trial.send(ingest_jobs.delete_job(job.id)).status
    after = trial.send(ingest_jobs.get_job(job.id)).status
    yield _DELETE.judged(f"HTTP {gone}, then {after}", holds=(gone, after) == (_NO_CONTENT, _NOT_FOUND))
