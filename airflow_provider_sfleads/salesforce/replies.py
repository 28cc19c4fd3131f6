"""What a reply of Salesforce says: errors, results of records, duplicates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_provider_sfleads.exceptions import ApiLimitError, OutcomeUnknownError, RequestRefusedError
from airflow_provider_sfleads.salesforce.error_codes import ErrorCode, Meaning, advice_for, look_up
from airflow_provider_sfleads.salesforce.ids import LEAD_PREFIX, full_id, has_form, to_18
from airflow_provider_sfleads.salesforce.wire import Call, Reply

# Messages can echo field values, but for those of some codes; of the others these parts hold none.
_SAFE_PARTS = (
    re.compile(r"No such column '[\w.]+' on (?:sobject of type|entity) '?\w+'?"),
    re.compile(r"sObject type '\w+' is not supported"),
    re.compile(r"Provided external ID field does not exist or is not accessible: [\w]+__c"),
    re.compile(r"The requested resource does not exist"),
    re.compile(r"Required fields are missing: \[[\w, ]+\]"),
)
_CODE = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)
#: Characters of an error that are kept: more than any of Salesforce has, or of Apex with all its stack.
LONGEST_MESSAGE = 10_000
_LONGEST_SHOWN = 500
_ID = re.compile(r"\b[a-zA-Z0-9]{15}(?:[A-Z0-5]{3})?\b")
_WORD = re.compile(r"\w+")
_VERSION = re.compile(r"/services/data/v[\d.]+/")


@dataclass(frozen=True, slots=True)
class ApiError:
    """One error of a reply or of a record.

    :param code: ``errorCode`` (of a request) or ``statusCode`` (of a record).
    :param message: Salesforce's words; they may hold field values, so they belong into results, not into logs.
    :param fields: API names of the fields concerned.
    """

    code: str
    message: str
    fields: tuple[str, ...] = ()

    @property
    def entry(self) -> ErrorCode:
        """What is known of an error like this."""
        return look_up(self.code, self.message)


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of one record of a request.

    :param id: 18-character id, only where ``success``.
    :param created: ``None`` where Salesforce does not say, or where an earlier sending may have created it.
    """

    id: str | None
    success: bool
    created: bool | None
    errors: tuple[ApiError, ...] = ()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def shown(text: str) -> str:
    """Return words of the server as they may stand in a message or a log: in one line, and not too long."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text[: _LONGEST_SHOWN + 1])
    return plain if len(plain) <= _LONGEST_SHOWN else f"{plain[:_LONGEST_SHOWN]}..."


def _name(value: object) -> str:
    """Return a code or a field's name; empty where it cannot be one."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _error(item: Mapping[str, object]) -> ApiError:
    fields = item.get("fields")
    names = tuple(name for name in map(_name, fields) if name) if isinstance(fields, list) else ()
    code = _name(item.get("errorCode")) or _name(item.get("statusCode")) or _name(item.get("error"))
    message = _text(item.get("message")) or _text(item.get("error_description"))
    return ApiError(code, message[:LONGEST_MESSAGE], names)


def errors_of(reply: Reply) -> tuple[ApiError, ...]:
    """Return the errors of a refused request; none where it was taken, or where the body is not Salesforce's."""
    return errors_in(reply.body) if reply.status >= 400 else ()  # noqa: PLR2004


def errors_in(body: object) -> tuple[ApiError, ...]:
    """Return the errors of an error body: an array of objects, or (OAuth) one object."""
    items = body if isinstance(body, list) else [body]
    found = tuple(_error(item) for item in items if isinstance(item, dict))
    return tuple(error for error in found if error.code or error.message)


def results_of(reply: Reply, count: int, *, prefix: str = "") -> tuple[RecordResult, ...]:
    """Return the results of a collections request, one per record sent, in its order.

    An ``id`` beside ``success: false`` is not kept: rolled-back records can still show one.

    :param count: records sent.
    :param prefix: what the ids of written records begin with.
    :raises OutcomeUnknownError: where the reply does not have one result for each.
    """
    body = reply.body
    found = [_result(item, prefix, repeated=reply.repeated) for item in body] if isinstance(body, list) else []
    if not isinstance(body, list) or len(body) != count or None in found:
        got = f"{len(body)} results, or some that are none" if isinstance(body, list) else "no list of results"
        raise OutcomeUnknownError(
            f"Salesforce answered a request of {count} records with {got}, so what became of them is not known. "
            "Look the records up before sending them again."
        )
    return tuple(result for result in found if result is not None)


def _result(item: object, prefix: str, *, repeated: bool) -> RecordResult | None:
    """Return what an item says of its record.

    ``None`` where it does not say that it was written, and which, nor was not.
    """
    if not isinstance(item, dict):
        return None
    success = item.get("success")
    if success is True:
        created, raw = item.get("created"), item.get("id")
        if not (isinstance(raw, str) and raw.startswith(prefix) and has_form(raw)):
            return None
        known = isinstance(created, bool) and not (repeated and created is False)
        return RecordResult(full_id(raw), success=True, created=created is True if known else None)
    if success is not False:
        return None
    errors = item.get("errors")
    found = errors_in(errors) if isinstance(errors, list) else ()
    return RecordResult(
        None, success=False, created=None, errors=found or (ApiError("UNKNOWN_EXCEPTION", "no reason given"),)
    )


def duplicate_id(error: ApiError, prefix: str = LEAD_PREFIX, *, key: str = "") -> str | None:
    """Return the id of the record that holds the value already, out of a ``DUPLICATE_VALUE`` error.

    Messages come in the user's language: the id is known by its form and ``prefix``. ``None`` where no record is named.

    :param key: the record's own key, which a message about a key that stood twice in one request repeats; what looks
        like an id in it names no record.
    """
    if error.entry.row is not Meaning.LEAD_EXISTS:
        return None
    tokens = (token for token in reversed(_ID.findall(error.message)) if token.startswith(prefix) and token not in key)
    return next((found for found in map(to_18, tokens) if found), None)


def duplicate_fields(error: ApiError, unique: Iterable[str]) -> frozenset[str]:
    """Return those of some fields that a ``DUPLICATE_VALUE`` error names; none where it says nothing of them.

    API names are the same in every language, and stand in the message, in ``fields``, or nowhere: which of the three
    depends on the org and the user.

    :param unique: API names of the fields that may be meant.
    """
    if error.entry.row is not Meaning.LEAD_EXISTS:
        return frozenset()
    words = {word.lower() for word in (*error.fields, *_WORD.findall(error.message))}
    return frozenset(name for name in unique if name.lower() in words)


def plain_text(errors: tuple[ApiError, ...]) -> str:
    """Say errors in codes, field names and what of Salesforce's words cannot hold a value; fit for logs."""
    return "; ".join(dict.fromkeys(_plain(error) for error in errors)) or "no error code"


def _plain(error: ApiError) -> str:
    if error.entry.plain:
        return f"{error.code}: {shown(error.message).rstrip('.')}"
    part = next((found[0] for found in (safe.search(error.message) for safe in _SAFE_PARTS) if found), "")
    named = f" (fields {', '.join(error.fields)})" if error.fields and not part else ""
    return f"{error.code or 'no error code'}{': ' if part else ''}{part}{named}"


def call_name(call: Call) -> str:
    """Name a call without what identifies a person: ``PATCH sobjects/Lead/Ext__c/...``."""
    path = _VERSION.sub("", call.path).partition("?")[0].strip("/")
    if path.startswith("jobs/"):
        return f"{call.method} {path}"  # a job's id says nothing of a person
    kept = path.split("/")
    return f"{call.method} {'/'.join([*kept[:3], '...'] if len(kept) > 3 else kept)}"  # noqa: PLR2004


def refusal(call: Call, reply: Reply, *, conn_id: str) -> RequestRefusedError:
    """Make the error for a whole request that Salesforce refused, for callers that cannot use the reply."""
    errors = errors_of(reply)
    said = plain_text(errors) if errors else "the body is not Salesforce's; a proxy may have answered"
    return RequestRefusedError(
        f"Salesforce refused {call_name(call)} (connection {conn_id!r}) with HTTP {reply.status}: {said}. "
        f"{advice_for(error.entry for error in errors)}".rstrip(),
        status=reply.status,
        codes=tuple(error.code for error in errors),
    )


def used_up(what: str, said: str, entry: ErrorCode) -> ApiLimitError:
    """Make the error of an allowance of the last 24 hours.

    :param what: what met it: a request or a job.
    :param said: Salesforce's words.
    :param entry: what is known of their code.
    """
    allowance = "its API requests" if entry.code == "REQUEST_LIMIT_EXCEEDED" else "what Bulk API takes"
    error = ApiLimitError(f"The org has used up {allowance}, at {what}: {said}. {entry.advice}")
    error.retry_after = entry.retry_after
    return error
