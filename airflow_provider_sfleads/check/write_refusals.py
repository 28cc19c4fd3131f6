"""Probe what Salesforce refuses of a page of records, and what of deleted, converted and duplicate leads."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_sfleads.check.probe import Assumption, Finding, Probe
from airflow_provider_sfleads.check.trial import INSERT, UPDATE, Need, Trial
from airflow_provider_sfleads.check.trial_values import renamed
from airflow_provider_sfleads.check.write_collections import outcome
from airflow_provider_sfleads.salesforce.collections import PageKind, delete_call, effect_headers
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.paging import expect
from airflow_provider_sfleads.salesforce.replies import results_of
from airflow_provider_sfleads.salesforce.wire import Call, Record

_DETECTED = "DUPLICATES_DETECTED"

_LONG = Assumption(
    name="refusals.long_text",
    text="Text that is longer than its field is refused",
    expected="STRING_TOO_LONG",
    remedy="Lengths are checked before anything is sent, so little hangs on it. Look for a trigger that cuts text.",
)
_EMAIL = Assumption(
    name="refusals.bad_email",
    text="An e-mail address that is none is refused",
    expected="INVALID_EMAIL_ADDRESS",
    remedy="Addresses are checked before anything is sent, so little hangs on it.",
)
_ALONE = Assumption(
    name="refusals.alone",
    text="A record that is refused costs only itself",
    expected="its neighbour is made",
    remedy="A trigger or a flow of this org rolls back whole requests: take batch_size=1, or have it mended.",
)
_BIN = Assumption(
    name="deleted.update",
    text="The update of a deleted lead is refused",
    expected="ENTITY_IS_DELETED",
    remedy="Rows for deleted leads count as updated here. Report this.",
)
_NULL = Assumption(
    name="deleted.retrieve",
    text="A deleted lead is answered with null where leads are read by id",
    expected="null",
    remedy="Deleted leads count as there, and their stage as read. Report this.",
)
_ALL = Assumption(
    name="deleted.query_all",
    text="queryAll finds a deleted lead and says that it is deleted",
    expected="IsDeleted true",
    remedy="Rows for deleted leads are told as unknown leads.",
)
_CONVERTED = Assumption(
    name="converted.update",
    text="The update of a converted lead is refused",
    expected="CANNOT_UPDATE_CONVERTED_LEAD",
    remedy="",
)
_ALLOW_SAVE = Assumption(
    name="duplicates.allow_save",
    text="allowSave=true overrides a duplicate rule that only alerts, through collections",
    expected="DUPLICATES_DETECTED without it, success with it",
    remedy="duplicates='allow' has no effect here. Exempt the Run-As user from the duplicate rule.",
)


def write_refusals(trial: Trial) -> list[Probe]:
    """Return the probes."""
    deleted = (_BIN, _NULL, _ALL)
    return [
        trial.probe(_bad_records, _ALONE, _LONG, _EMAIL, needs=(Need.LEAD,)),
        trial.probe(_deleted, *deleted, needs=(Need.LEAD,)),
        trial.probe(_converted, _CONVERTED),
        trial.probe(_allow_save, _ALLOW_SAVE, needs=(Need.LEAD,)),
    ]


def _bad_records(trial: Trial) -> Iterator[Finding]:
    text, email = _writable(trial, "Title", "LastName"), _writable(trial, "Email")
    good, bad = trial.person(), {}
    if text is not None:
        bad[_LONG] = trial.person(**{text.name: "x" * (text.length + 1)})
    if email is not None:
        bad[_EMAIL] = trial.person(Email="nobody@")
    first, *others = trial.write(INSERT, [good, *bad.values()])
    yield _ALONE.judged(outcome(first), holds=first.error is None)
    verdicts = dict(zip(bad, others, strict=True))
    for assumption in (_LONG, _EMAIL):
        if assumption in verdicts:
            verdict = verdicts[assumption]
            yield assumption.judged(outcome(verdict), holds=verdict.error is not None)
        else:
            yield assumption.not_tried("the Run-As user may write no such field")


def _writable(trial: Trial, *names: str) -> FieldInfo | None:
    found = (trial.lead.find(name) for name in names)
    return next((info for info in found if info is not None and info.createable), None)


def _deleted(trial: Trial) -> Iterator[Finding]:
    (made,) = trial.write(INSERT, [trial.person()])
    lead_id = made.id or trial.base_id
    call = delete_call([lead_id])
    (gone,) = results_of(expect(call, trial.send(call), conn_id=trial.conn_id), 1)
    if not gone.success:
        reason = f"the Run-As user could not delete a trial lead ({gone.errors[0].code})"
        yield from (assumption.not_tried(reason) for assumption in (_BIN, _NULL, _ALL))
        return
    (verdict,) = trial.write(UPDATE, [{"Id": lead_id, **renamed(trial.lead, f"{trial.prefix}deleted")}])
    yield _BIN.judged(outcome(verdict), holds=verdict.error is not None)
    there = trial.lookup.by_id([lead_id], ("Id",))
    yield _NULL.judged("the lead" if there else "null", holds=not there)
    in_bin = lead_id in trial.lookup.deleted([lead_id])
    yield _ALL.judged("IsDeleted true" if in_bin else "not found as deleted", holds=in_bin)


def _converted(_trial: Trial) -> Iterator[Finding]:
    # REST converts no lead, and a lead that is not the check's own is never written to: with View and Edit Converted
    # Leads even an update without a value would go through and run the org's automation.
    yield _CONVERTED.not_tried(
        "REST cannot convert a trial lead, and other leads are not touched",
        "Convert a lead by hand and run a stage Dag over its key: its row is unchanged/converted.",
    )


def _allow_save(trial: Trial) -> Iterator[Finding]:
    twin = {**(trial.base or {}), trial.key.name: trial.person()[trial.key.name]}
    (plain,) = trial.write(INSERT, [twin])
    if plain.error is None or plain.error.code != _DETECTED:
        yield _ALLOW_SAVE.not_tried(
            f"a second lead with the same name, company and e-mail: {outcome(plain)}, so no duplicate rule struck",
            "Activate the Standard Lead Duplicate Rule (allow, with alert) to have it tried.",
        )
        return
    allowing = PageKind(operation="insert", allow_duplicates=True, repeatable=False)
    (saved,) = trial.write(allowing, [trial.again(twin)])
    if saved.error is not None and saved.error.code == _DETECTED and _blocks(trial, trial.again(twin)):
        yield _ALLOW_SAVE.not_tried("the duplicate rule that struck blocks, which nothing overrides")
        return
    yield _ALLOW_SAVE.judged(f"{_DETECTED} without it, {outcome(saved)} with it", holds=saved.error is None)


def _blocks(trial: Trial, record: Record) -> bool:
    """Whether the rule that strikes blocks: collections do not say it, a request for one record does."""
    headers = effect_headers("FALSE", allow_duplicates=False)
    call = Call(method="POST", path="sobjects/Lead", body=record, headers=headers, repeatable=False, write=True)
    reply = trial.note(call, [record])
    bodies = reply.body if isinstance(reply.body, list) else []
    # The first spelling is the one on the wire in many recordings.
    found = [body.get("duplicateResut") or body.get("duplicateResult") for body in bodies if isinstance(body, dict)]
    return any(isinstance(result, dict) and result.get("allowSave") is False for result in found)
