"""Probe what only a write through collections shows: owners, keys, what an answer says, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from airflow_provider_sfleads.check.probe import Assumption, Finding, Probe
from airflow_provider_sfleads.check.trial import INSERT, NO_RULE, UPDATE, Need, Trial
from airflow_provider_sfleads.check.trial_values import COLLECTIONS, RoundTrip, odd_record, renamed
from airflow_provider_sfleads.core.same import same_record
from airflow_provider_sfleads.salesforce.collections import (
    PageKind,
    SaveResult,
    delete_call,
    effect_headers,
    save_results_of,
)
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.paging import expect
from airflow_provider_sfleads.salesforce.replies import (
    duplicate_fields,
    duplicate_id,
    errors_of,
    plain_text,
    results_of,
)
from airflow_provider_sfleads.salesforce.wire import Call, Record

_DETECTED = "DUPLICATES_DETECTED"

_INSERT = Assumption(
    name="collections.insert",
    text="Leads are made through collections, and the answer names the id of each",
    expected="success with an id, and the lead under its key",
    remedy="Give the Run-As user Create on Lead and Edit on its fields. Other codes: a validation rule, a trigger or a "
    "duplicate rule of this org refuses a lead that is made up.",
)
_KEY_CHANGED = (
    "A trigger or a flow of this org changes the external ID, or hides the lead: exempt the Run-As user from it. Until "
    "then leads are made twice."
)
_OWNER = Assumption(
    name="collections.auto_assign_false",
    text="Sforce-Auto-Assign: FALSE keeps the assignment rule from running, so that the owner stays",
    expected="the owner that was sent",
    remedy="assignment_rule=None has no effect here with api='collections'. Take api='bulk', or look for a trigger or "
    "a flow that changes owners.",
)
_UPDATE = Assumption(
    name="collections.update",
    text="Leads are updated by id through collections",
    expected="success, and the new value",
    remedy="Give the Run-As user Edit on Lead and on its fields.",
)
_CREATED = Assumption(
    name="collections.upsert_created",
    text="An upsert says whether it created the lead",
    expected="created true, then created false with the same id",
    remedy="With existing='update', created and updated are not told apart here. Use api_version 46.0 or later.",
)
_TWICE = Assumption(
    name="collections.same_key_twice",
    text="Of two records with one key in a request no two leads are made",
    expected="DUPLICATE_VALUE for both, or for one",
    remedy="Tick Unique on the external-ID field.",
)
_EXISTING = Assumption(
    name="collections.existing_key",
    text="A second lead with a key that exists is refused",
    expected="DUPLICATE_VALUE",
    remedy="Tick Unique on the external-ID field: without it a lead can be made twice.",
)
_UNKNOWN_FIELD = Assumption(
    name="collections.unknown_field",
    text="A field that does not exist is refused with INVALID_FIELD, for its record or for the whole page",
    expected="one of the two",
    remedy="Check that nothing between this machine and Salesforce changes requests.",
)
_ODD = Assumption(
    name="collections.odd_values",
    text="A lead with line breaks, quotes, emoji and the like is taken",
    expected="success with an id",
    remedy="The code says what refuses it, such as a validation rule; the lines of values are not tried by this way.",
)
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


def write_collections(trial: Trial) -> list[Probe]:
    """Return the probes, in the order in which they rely on each other."""
    return [
        trial.probe(_insert, _INSERT, _OWNER),
        trial.probe(_update, _UPDATE, needs=(Need.LEAD,)),
        trial.probe(_upsert, _CREATED, needs=(Need.LEAD, Need.UPDATE)),
        trial.probe(_same_key_twice, _TWICE, needs=(Need.LEAD,)),
        trial.probe(_existing_key, _EXISTING, needs=(Need.LEAD,)),
        trial.probe(_odd_values, _ODD, needs=(Need.LEAD,)),
        trial.probe(_unknown_field, _UNKNOWN_FIELD, needs=(Need.SECOND, Need.UPDATE)),
        trial.probe(_bad_records, _ALONE, _LONG, _EMAIL, needs=(Need.LEAD,)),
        trial.probe(_deleted, _BIN, _NULL, _ALL, needs=(Need.LEAD,)),
        trial.probe(_converted, _CONVERTED),
        trial.probe(_allow_save, _ALLOW_SAVE, needs=(Need.LEAD,)),
    ]


def outcome(verdict: SaveResult) -> str:
    """Say what became of a record, without its values."""
    if verdict.error is None:
        return "success"
    fields = f" ({', '.join(verdict.error.fields)})" if verdict.error.fields else ""
    return verdict.error.code + fields


def judge_owner(trial: Trial, assumption: Assumption, lead: Mapping[str, object]) -> Finding:
    """Judge whether the Run-As user owns a lead, as it should."""
    kept = to_18(str(lead.get("OwnerId"))) == trial.user_id
    return assumption.judged(f"the owner {'stayed' if kept else 'was changed'}", holds=kept)


def _insert(trial: Trial) -> Iterator[Finding]:
    info = trial.lead.find("OwnerId")
    owner = trial.user_id if info is not None and info.createable else None
    record = trial.person()
    (verdict,) = trial.write(INSERT, [{**record, "OwnerId": owner} if owner else record])
    if verdict.id is None:
        yield _INSERT.judged(outcome(verdict), holds=False)
    elif verdict.id not in {to_18(each["Id"]) for each in trial.by_key(record)}:
        yield _INSERT.judged("success, but the lead is not found under its key", holds=False, remedy=_KEY_CHANGED)
    else:
        trial.base, trial.base_id = record, verdict.id
        trial.has.add(Need.LEAD)
        yield _INSERT.judged(outcome(verdict), holds=True)
    if Need.LEAD not in trial.has:
        yield _OWNER.not_tried(Need.LEAD.value)
    elif owner is None:
        yield _OWNER.not_tried("the Run-As user may not write OwnerId, or the token does not name that user")
    elif trial.active_rule is None:
        yield _OWNER.not_tried(NO_RULE, "Activate a lead assignment rule to have it tried.")
    else:
        yield judge_owner(trial, _OWNER, trial.by_id(trial.base_id, ["OwnerId"]))


def _update(trial: Trial) -> Iterator[Finding]:
    changed = renamed(trial.lead, f"{trial.prefix}update")
    (verdict,) = trial.write(UPDATE, [{"Id": trial.base_id, **changed}])
    if verdict.error is not None:
        yield _UPDATE.judged(outcome(verdict), holds=False)
        return
    trial.has.add(Need.UPDATE)
    same = same_record(trial.lead, changed, trial.by_id(trial.base_id, changed))
    if same:
        trial.base = {**trial.base, **changed}
    yield _UPDATE.judged(f"success, and the {'new' if same else 'old'} value", holds=same)


def _upsert(trial: Trial) -> Iterator[Finding]:
    kind = PageKind(operation="upsert", external_id_field=trial.key.name, repeatable=False)
    record = trial.person()
    (made,) = trial.write(kind, [record])
    if made.id is None:
        yield _CREATED.judged(outcome(made), holds=False)
        return
    trial.second, trial.second_id = record, made.id
    trial.has.add(Need.SECOND)
    changed = {trial.key.name: record[trial.key.name], **renamed(trial.lead, f"{trial.prefix}upsert")}
    (again,) = trial.write(kind, [changed])
    other = "" if again.id == made.id else " for another lead"
    holds = (made.created, again.created, again.id) == (True, False, made.id)
    yield _CREATED.judged(f"created {_created(made)}, then {_created(again)}{other}", holds=holds)


def _created(verdict: SaveResult) -> str:
    return verdict.error.code if verdict.error else str(verdict.created).lower().replace("none", "not said")


def _same_key_twice(trial: Trial) -> Iterator[Finding]:
    kind = PageKind(operation="upsert", external_id_field=trial.key.name, repeatable=False)
    record = trial.person()
    verdicts = trial.write(kind, [record, trial.again(record)])
    made = len({to_18(each["Id"]) for each in trial.by_key(record)} | {each.id for each in verdicts if each.id})
    yield _TWICE.judged(f"{', '.join(map(outcome, verdicts))}; leads made: {made}", holds=made <= 1)


def _existing_key(trial: Trial) -> Iterator[Finding]:
    key = trial.key.name
    taken = trial.base[key]
    (verdict,) = trial.write(INSERT, [{**trial.person(), key: taken}])
    error = verdict.error
    if error is not None and error.code == "DUPLICATE_VALUE":
        names_field = bool(duplicate_fields(error, [key]))
        trial.worded[COLLECTIONS] = names_field and duplicate_id(error, key=str(taken)) is not None
    yield _EXISTING.judged(outcome(verdict), holds=COLLECTIONS in trial.worded)


def _odd_values(trial: Trial) -> Iterator[Finding]:
    odd = odd_record(trial.odd_fields, COLLECTIONS)
    (verdict,) = trial.write(INSERT, [trial.person(**odd)])
    taken = verdict.id is not None
    back = trial.by_id(verdict.id, odd) if verdict.id else None
    problem = "" if taken else f"their lead was refused through collections ({outcome(verdict)})"
    trial.round_trips[COLLECTIONS] = RoundTrip(sent=odd, back=back, problem=problem)
    yield _ODD.judged(outcome(verdict), holds=taken)


def _unknown_field(trial: Trial) -> Iterator[Finding]:
    bad = {"Id": trial.base_id, "Sfleads_No_Such_Field__c": "x"}
    good = {"Id": trial.second_id, **renamed(trial.lead, f"{trial.prefix}good")}
    reply = trial.send(UPDATE.call([bad, good]))
    if not reply.taken:
        refused = any(error.code == "INVALID_FIELD" for error in errors_of(reply))
        seen = f"HTTP {reply.status}: {plain_text(errors_of(reply))}"
        yield _UNKNOWN_FIELD.judged(f"the whole page: {seen}", holds=refused)
        return
    first, second = save_results_of(reply, 2)
    holds = first.error is not None and first.error.code == "INVALID_FIELD" and second.error is None
    yield _UNKNOWN_FIELD.judged(f"only its record: {outcome(first)}; its neighbour: {outcome(second)}", holds=holds)


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
        verdict = verdicts.get(assumption)
        if verdict is None:
            yield assumption.not_tried("the Run-As user may write no such field")
        else:
            yield assumption.judged(outcome(verdict), holds=verdict.error is not None)


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
    twin = {**trial.base, trial.key.name: trial.person()[trial.key.name]}
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
    """Return whether the rule that strikes blocks: collections do not say it, a request for one record does."""
    headers = effect_headers("FALSE", allow_duplicates=False)
    call = Call(method="POST", path="sobjects/Lead", body=record, headers=headers, repeatable=False, write=True)
    reply = trial.note(call, [record])
    bodies = reply.body if isinstance(reply.body, list) else []
    # The first spelling is the one on the wire in many recordings.
    found = [body.get("duplicateResut") or body.get("duplicateResult") for body in bodies if isinstance(body, dict)]
    return any(isinstance(result, dict) and result.get("allowSave") is False for result in found)
