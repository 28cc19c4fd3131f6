"""Probe what only a write through collections shows: owners, keys, and what an answer says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from airflow_provider_sfleads.check.probe import Assumption, Finding, Probe
from airflow_provider_sfleads.check.trial import INSERT, NO_RULE, UPDATE, Need, Trial
from airflow_provider_sfleads.check.trial_values import COLLECTIONS, RoundTrip, renamed
from airflow_provider_sfleads.core.same import same_record
from airflow_provider_sfleads.salesforce.collections import PageKind, SaveResult, save_results_of
from airflow_provider_sfleads.salesforce.ids import to_18
from airflow_provider_sfleads.salesforce.replies import duplicate_fields, duplicate_id, errors_of, plain_text

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
    kept = verdict.id in {to_18(each["Id"]) for each in trial.by_key([record])} if verdict.id else False
    if verdict.id is not None and not kept:
        yield _INSERT.judged("success, but the lead is not found under its key", holds=False, remedy=_KEY_CHANGED)
    else:
        yield _INSERT.judged(outcome(verdict), holds=kept)
    if verdict.id is None or not kept:
        yield _OWNER.not_tried(Need.LEAD.value)
        return
    trial.base, trial.base_id = record, verdict.id
    if owner is None:
        yield _OWNER.not_tried("the Run-As user may not write OwnerId, or the token does not name that user")
    elif trial.active_rule() is None:
        yield _OWNER.not_tried(NO_RULE, "Activate a lead assignment rule to have it tried.")
    else:
        yield judge_owner(trial, _OWNER, trial.by_id(verdict.id, ["OwnerId"]))


def _update(trial: Trial) -> Iterator[Finding]:
    changed = renamed(trial.lead, f"{trial.prefix}update")
    (verdict,) = trial.write(UPDATE, [{"Id": trial.base_id, **changed}])
    trial.updates = verdict.error is None
    if verdict.error is not None:
        yield _UPDATE.judged(outcome(verdict), holds=False)
        return
    same = same_record(trial.lead, changed, trial.by_id(trial.base_id, changed))
    if same:
        trial.base = {**(trial.base or {}), **changed}
    yield _UPDATE.judged(f"success, and the {'new' if same else 'old'} value", holds=same)


def _upsert(trial: Trial) -> Iterator[Finding]:
    kind = PageKind(operation="upsert", external_id_field=trial.key.name, repeatable=False)
    record = trial.person()
    (made,) = trial.write(kind, [record])
    if made.id is None:
        yield _CREATED.judged(outcome(made), holds=False)
        return
    trial.second, trial.second_id = record, made.id
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
    made = len({to_18(each["Id"]) for each in trial.by_key([record])} | {each.id for each in verdicts if each.id})
    yield _TWICE.judged(f"{', '.join(map(outcome, verdicts))}; leads made: {made}", holds=made <= 1)


def _existing_key(trial: Trial) -> Iterator[Finding]:
    key = trial.key.name
    taken = (trial.base or {})[key]
    (verdict,) = trial.write(INSERT, [{**trial.person(), key: taken}])
    error = verdict.error
    refused = error is not None and error.code == "DUPLICATE_VALUE"
    if error is not None and refused:
        trial.worded[COLLECTIONS] = (
            bool(duplicate_fields(error, [key])) and duplicate_id(error, key=str(taken)) is not None
        )
    yield _EXISTING.judged(outcome(verdict), holds=refused)


def _odd_values(trial: Trial) -> Iterator[Finding]:
    odd = trial.odd_fields.record(COLLECTIONS)
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
