"""Which lead each record of a request is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from airflow_provider_sfleads.emulator.drafts import Draft
from airflow_provider_sfleads.emulator.fields import FieldSpec, key_of
from airflow_provider_sfleads.emulator.ids import LEAD_PREFIX, to_18
from airflow_provider_sfleads.emulator.store import Store

_TWICE_TEXT = {"en": "Duplicate external id specified: {}", "de": "Externe ID doppelt angegeben: {}"}


def find_by_id(drafts: Sequence[Draft], store: Store, *, takes_deleted: bool = False) -> None:
    """Give each draft of an update or delete the lead of its `Id`, or the reason why it has none.

    :param takes_deleted: whether those in the recycle bin will do; a deviation.
    """
    for draft in drafts:
        _read_id(draft)
    counts = Counter(draft.id for draft in drafts if draft.id)
    found = store.by_ids(counts)
    for draft in drafts:
        if draft.id is None:
            continue
        draft.current = found.get(draft.id)
        if counts[draft.id] > 1:
            draft.lose("DUPLICATE_VALUE", f"Duplicate id specified: {draft.id}", "Id")
        elif draft.current is None:
            draft.lose("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", status=404)
        elif not takes_deleted:
            _check_usable(draft)


def _read_id(draft: Draft) -> None:
    name = next((name for name in draft.sent if name.lower() == "id"), None)
    raw = draft.sent[name] if name else None
    draft.values.pop("Id", None)
    # The general check of references has its own opinion of a bad id.
    draft.errors[:] = [error for error in draft.errors if error.fields != ("Id",)]
    if raw is None or raw == "":
        draft.lose("MISSING_ARGUMENT", "Id not specified in an update call")
        return
    draft.id = to_18(raw)
    if draft.id is None or not draft.id.startswith(LEAD_PREFIX):
        draft.id = None
        draft.lose("MALFORMED_ID", f"Lead ID: id value of incorrect type: {raw}", "Id")


def _check_usable(draft: Draft) -> None:
    if draft.current and draft.current["IsDeleted"]:
        draft.lose("ENTITY_IS_DELETED", "entity is deleted", status=404)


def find_by_key(
    drafts: Sequence[Draft],
    key: FieldSpec,
    store: Store,
    *,
    overtaken: Callable[[Draft], bool],
    language: str,
    takes_twice: bool = False,
) -> None:
    """Give each draft of an upsert the lead that holds its key, if one does.

    :param overtaken: whether its lead is committed too late to be found.
    :param takes_twice: whether one key may stand twice in a request; a deviation.
    """
    keys = _keys(drafts, key)
    counts = Counter(keys.values())
    found = store.find_keys(key.name, counts)
    leads = store.by_ids({lead_id for ids in found.values() for lead_id in ids})
    for position, text in keys.items():
        draft, ids = drafts[position], found.get(text, [])
        if counts[text] > 1 and not takes_twice:
            message = _TWICE_TEXT[language].format(draft.values[key.name])
            draft.lose("DUPLICATE_VALUE", message, key.name)
        elif len(ids) > 1:
            message = f"{key.shown}: more than one record found for external id field: [{', '.join(ids)}]"
            draft.lose("DUPLICATE_EXTERNAL_ID", message, key.name, status=300)
        elif ids and not overtaken(draft):
            draft.id = ids[0]
            draft.current = leads[ids[0]]


def _keys(drafts: Sequence[Draft], key: FieldSpec) -> dict[int, str]:
    """Return the key of each draft that has one, by its position."""
    keys: dict[int, str] = {}
    for position, draft in enumerate(drafts):
        value = draft.values.get(key.name)
        if value is not None:
            keys[position] = key_of(key, value)
        elif not any(key.name in error.fields for error in draft.errors):
            draft.lose("MISSING_ARGUMENT", f"{key.name} not specified", key.name)
        if any(name.lower() == "id" for name in draft.sent):
            draft.lose("INVALID_FIELD", "The Id field should not be specified in the sobject data.", "Id")
    return keys
