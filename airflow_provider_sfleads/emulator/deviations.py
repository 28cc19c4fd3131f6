"""Ways in which an org is other than clients assume, to be switched on one by one: `EmulatorSettings.broken`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.values import Converter, FieldProblem, Stored

#: What each deviation does.
DEVIATIONS: Mapping[str, str] = {
    "allow_save": "allowSave=true overrides no duplicate rule",
    "auto_assign": "Sforce-Auto-Assign is not heeded: the active rule runs",
    "rule_in_job": "a job without assignmentRuleId runs the active rule, too",
    "upsert_created": "an upsert through collections says created the wrong way round",
    "job_created": "an upsert job says sf__Created the wrong way round",
    "key_twice": "of two records with one key in an upsert both are made",
    "key_twice_in_job": "of two rows with one key in a job both are made",
    "existing_key": "a create through collections makes a second lead with a key that exists",
    "existing_key_in_job": "an insert job does",
    "key": "a trigger writes another text into external IDs",
    "update": "updates through collections are answered and not carried out",
    "update_in_job": "those of jobs are",
    "unknown_field": "fields that do not exist are left out",
    "all_or_none": "a record that is refused costs its whole request",
    "long_text": "text that is too long is taken",
    "bad_email": "e-mail addresses that are none are taken",
    "deleted_update": "deleted leads can be updated",
    "deleted_retrieve": "deleted leads are retrieved by id",
    "deleted_query": "queryAll does not find deleted leads",
    "undeletable": "a trigger refuses to delete leads",
    "job_echo": "the results of jobs repeat cells without the blanks around them",
    "abort": "a job that is aborted ends as Failed",
    "job_delete": "a job that is deleted is still there",
    "line_breaks": "line breaks are stored as blanks",
    "blanks": "several blanks are stored as one",
    "tabs_and_nbsp": "tabs and no-break spaces are stored as blanks",
    "not_available": "#N/A empties a field in requests, too",
    "quotes": "quotes are stored as typographic ones",
    "emoji": "letters beyond the first 65,536 are stored as question marks",
    "decimals": "numbers keep six decimals",
    "picklist_case": "a picklist's value in other letter case is stored as another one",
}
_TEXTS: Mapping[str, Callable[[str], str]] = {
    "line_breaks": lambda text: text.replace("\n", " "),
    "blanks": lambda text: re.sub(" +", " ", text),
    "tabs_and_nbsp": lambda text: text.replace("\t", " ").replace("\u00a0", " "),
    "not_available": lambda text: "" if text == "#N/A" else text,
    "quotes": lambda text: text.replace('"', "\u201d"),
    "emoji": lambda text: re.sub("[\U00010000-\U0010ffff]", "?", text),
}
_TAKEN = {"STRING_TOO_LONG": "long_text", "INVALID_EMAIL_ADDRESS": "bad_email"}
_PLAIN = frozenset({"string", "textarea"})


def check_deviations(broken: Iterable[str]) -> None:
    """Refuse names that are none."""
    unknown = sorted(set(broken) - DEVIATIONS.keys())
    if unknown:
        message = f"Unknown deviations {unknown}; known are {sorted(DEVIATIONS)}"
        raise ValueError(message)


def deviating(spec: FieldSpec, convert: Converter, broken: frozenset[str]) -> Converter:
    """Return the converter of a field in an org with these deviations."""
    texts = [change for name, change in _TEXTS.items() if name in broken and spec.type in _PLAIN]
    taken = {code for code, name in _TAKEN.items() if name in broken}
    if "key" in broken and spec.external_id and spec.type in _PLAIN:
        texts.append(lambda text: f"by a trigger: {text}")
    if not (texts or taken or broken & {"decimals", "picklist_case"}):
        return convert

    def changed(raw: object) -> Stored:
        if isinstance(raw, str):
            for change in texts:
                raw = change(raw)
        try:
            value = convert(raw)
        except FieldProblem as problem:
            if problem.code in taken and isinstance(raw, str):
                return raw
            raise
        return _other(spec, raw, value, broken)

    return changed


def _other(spec: FieldSpec, raw: object, value: Stored, broken: frozenset[str]) -> Stored:
    if "decimals" in broken and isinstance(value, float):
        return round(value, 6)
    if "picklist_case" in broken and spec.type == "picklist" and value is not None and raw != value:
        return f"{raw} (1)"
    return value
