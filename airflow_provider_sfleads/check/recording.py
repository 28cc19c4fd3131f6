"""Record all answers of a check as one JSON file that can be passed on: nothing in it is anybody's."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent_encoded
from urllib.parse import quote_plus, unquote_plus

from airflow_provider_sfleads import __version__
from airflow_provider_sfleads.check.probe import Exchange, Finding, Org
from airflow_provider_sfleads.hooks.connection_fields import secrets_in
from airflow_provider_sfleads.salesforce.ids import checksum, to_18
from airflow_provider_sfleads.salesforce.soql import quote
from airflow_provider_sfleads.salesforce.wire import Call, in_url, query_of

#: The org and the user of every recording.
ORG_ID, USER_ID = "00D5g00000AbCdEEAV", "0055g00000FgHiJAAV"
HOST = "https://redacted.my.salesforce.com"
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHORT = 15
_ID = re.compile(r"(?<![a-zA-Z0-9])[a-zA-Z0-9]{15}(?:[A-Z0-5]{3})?(?![a-zA-Z0-9])")
# What an org's record ids begin with; words of 15 letters do not.
_KEY_PREFIX = re.compile(r"\d|[a-z]\d")
# A local part has up to 64 characters (RFC 5321), which also bounds the search; in a URL the at sign is encoded.
_EMAIL = re.compile(r"(?:[\w.+%&!#$*^~-]|(?<=\w)'(?=\w)){1,64}(?:@|%40)[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"https?://[^/\s\"'<>?#]+")
_TOKEN = re.compile(r"00D\w{12,15}![\w.]+|eyJ[\w-]+\.[\w-]+\.[\w-]*")
_PHONE = re.compile(r"(?<![\w.:-])\+?\(?\d[\d ()/.-]{6,}\d(?![\w:-])")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_NUMBERS_IN = re.compile(r"(?<=IN \()[-\d.,]+(?=\))")
# A word begins also where a URL has a quote or a blank.
_AT_WORD = r"(?:(?<!\w)|(?<=%[0-9a-fA-F]{2}))"
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
# Times of the system say nothing of a person, and others are read by them.
_SYSTEM_TIMES = frozenset({"createddate", "lastmodifieddate", "systemmodstamp"})
_LEAST_FOUND = 3
_DAY = "2026-01-01"

_KEPT_HEADERS = ("content-type", "retry-after", "sforce-limit-info", "sforce-locator", "sforce-numberofrecords")
_IDENTITY = frozenset(
    {"id", "asserted_user", "user_id", "organization_id", "active", "user_type", "language", "locale", "utcOffset"}
)
_MESSAGES = frozenset({"message", "errorMessage", "error_description", "sf__Error"})
# What an admin wrote into the setup, in words of his own.
_PROSE = frozenset({"calculatedFormula", "defaultValueFormula", "filteredLookupInfo", "inlineHelpText"})
_PUBLIC = frozenset({"OrganizationType"})
_Leaf = Callable[[str, object], object]
"""Says what stands for a value, by its field."""


def _plain(literal: str) -> str:
    """Return the value of a SOQL literal, without its quotes."""
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), literal)


def _number_text(value: float | Decimal) -> str:
    """Return the one text of a number, which an answer may have as 1.0E17 and a query as 100000000000000000."""
    return format(Decimal(str(value)).normalize(), "f")


def _full_id(text: str) -> str | None:
    full = to_18(text)
    return full if len(text) > _SHORT or _KEY_PREFIX.match(text) else None


class Redactor:
    """Replaces what is somebody's.

    :param secrets: texts that appear nowhere, such as the consumer secret and the org's host.
    :param org_id: the org's, where it is known.
    :param user_id: the user's, likewise.
    """

    def __init__(self, secrets: Iterable[str], *, org_id: str | None = None, user_id: str | None = None) -> None:
        self._secrets = sorted({text for text in secrets if text}, key=len, reverse=True)
        self._ids = {real: made for real, made in ((org_id, ORG_ID), (user_id, USER_ID)) if real}
        self._values: dict[str, str] = {}
        # As they were written: lower case and upper case are no mirror images, as of the Turkish dotted I.
        self._spelled: set[str] = set()
        self._ours: set[str] = set()
        self._known_ids = set(self._ids)
        self._public: set[tuple[str, str]] = set()
        self._vocabulary: set[str] = {"lead", "contact"}
        self._found: re.Pattern[str] | None = None

    def sent(self, text: str) -> None:
        """Learn a text that the check sends: what no answer held before is made up, and says nothing of anybody."""
        if text.casefold() not in self._values and to_18(text) not in self._known_ids:
            self._ours.add(text)

    def seen(self, field: str, value: str) -> None:
        """Learn a value of a record."""
        if self._is_somebodys(field, value):
            kind = "person-{}@example.invalid" if _EMAIL.fullmatch(value) else "text-{}"
            made = str(1000 + len(self._values)) if _NUMBER.fullmatch(value) else kind.format(len(self._values) + 1)
            made = self._values.setdefault(value.casefold(), made)
            # A look-up sends it trimmed.
            self._values.setdefault(value.strip().casefold(), made)
            self._spelled |= {value.strip(), value.strip().casefold()}

    def named(self, text: str) -> None:
        """Learn the ids in an answer."""
        self._known_ids.update(filter(None, (to_18(found) for found in _ID.findall(text))))

    def public(self, field: str, values: Iterable[str]) -> None:
        """Learn from a describe what a field is called, and which values its picklist has."""
        self._vocabulary.add(field.lower())
        self._public.update((field.lower(), value) for value in values)

    def value(self, field: str, value: object) -> object:
        """Return what stands for a value of a record."""
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int | float):
            made = self._values.get(_number_text(value))
            return value if made is None else int(made)
        text = str(value)
        if not self._is_somebodys(field, text):
            is_day = _MOMENT.fullmatch(text) and field.lower() not in _SYSTEM_TIMES and text not in self._ours
            return _DAY + text[len(_DAY) :] if is_day else self.ids(text)
        return self._values.get(text.casefold(), "text")

    def _is_somebodys(self, field: str, value: str) -> bool:
        if not value or value in self._ours or (field.lower(), value) in self._public:
            return False
        is_id = _ID.fullmatch(value) and _full_id(value)
        return not (is_id or value.lower() in ("true", "false") or _MOMENT.fullmatch(value))

    def ids(self, text: str) -> str:
        """Replace the ids in a text."""
        return _ID.sub(lambda found: self._id(found[0]), text)

    def _id(self, text: str) -> str:
        full = None if text in self._ours else _full_id(text)
        if full is None:
            return text
        if full not in self._ids:
            number = "".join(_BASE62[len(self._ids) // 62**place % 62] for place in (3, 2, 1, 0))
            head = f"{full[:3]}5g00000R{number}"
            self._ids[full] = head + checksum(head)
        return self._ids[full][: len(text)]

    def text(self, text: str) -> str:
        """Replace in a text that is no value what gives somebody away by its form."""
        for secret in self._secrets:
            text = text.replace(secret, "redacted")
        text = _URL.sub(HOST, _TOKEN.sub("redacted", text))
        return self.ids(_EMAIL.sub(self._address, text))

    def _address(self, found: re.Match[str]) -> str:
        return found[0] if found[0] in self._ours else self._values.get(found[0].casefold(), "person@example.invalid")

    def message(self, text: str) -> str:
        """Replace in a message also the values of records, and what has the form of a telephone number."""
        text = self.text(self._pattern().sub(lambda found: self._stand_in(found[0]), text))
        return _PHONE.sub("+0 000 000", text)

    def _stand_in(self, text: str) -> str:
        made = self._values.get(text.casefold())
        return made or self._values.get(unquote_plus(text).casefold(), "text")

    def _pattern(self) -> re.Pattern[str]:
        if self._found is None:
            words = (each for each in self._spelled if each.casefold() not in self._vocabulary)
            values = [each for each in words if len(each) >= _LEAST_FOUND]
            values += [
                form for each in values for form in (in_url(each), quote_plus(each), percent_encoded(each, safe=""))
            ]
            any_of = "|".join(map(re.escape, sorted(set(values), key=len, reverse=True)))
            self._found = re.compile(rf"{_AT_WORD}(?:{any_of})(?!\w)", re.IGNORECASE) if any_of else re.compile(r"(?!)")
        return self._found

    def soql(self, soql: str) -> str:
        """Replace the values in a query."""
        text = _QUOTED.sub(lambda found: quote(str(self.value("", _plain(found[1])))), soql)
        return _NUMBERS_IN.sub(lambda found: ",".join(map(self._number, found[0].split(","))), text)

    def _number(self, text: str) -> str:
        return self._values.get(_number_text(Decimal(text)), text)


def recording_of(org: Org, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return findings and answers, redacted.

    Ids become made-up ids of the same prefix, e-mail addresses, names and other values of records placeholders of the
    same kind; each the same wherever it stands, so that requests and answers still belong together. What the check
    itself made up stays. Messages keep their words, less the values of records that the check has read. Dates of
    answers are left out, for a replay happens later.
    """
    redactor = _taught(org)
    answers = [_answer(exchange, redactor, org) for exchange in org.exchanges]
    told = [{name: redactor.text(str(text)) for name, text in asdict(finding).items()} for finding in findings]
    version = org.client.settings.api_version
    origin = f"contract check of airflow-provider-sfleads {__version__}, API version {version}, {org.edition}"
    return {"origin": origin.rstrip(", "), "findings": told, "answers": answers}


def write_private(path: Path, recording: Mapping[str, Any]) -> None:
    """Write a recording, for its owner's eyes, whole or not at all; a file that is there is replaced.

    :raises OSError: where it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(recording, file, indent=1, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _taught(org: Org) -> Redactor:
    """Return a redactor that knows what the check made up and what it was told, in the order in which it was."""
    client = org.client
    settings = client.settings
    hosts = {host.partition("://")[2] for host in (settings.host.url, client.base_url)}
    hosts |= {host.partition(":")[0] for host in hosts}
    known = client.token_requests > 0 and bool(org.exchanges)
    username = settings.bearer.username if settings.bearer else ""
    redactor = Redactor(
        (*secrets_in(settings), settings.consumer_key, username, *hosts),
        org_id=client.org_id if known else None,
        user_id=client.user_id if known else None,
    )
    for exchange in org.exchanges:
        for text in _texts_sent(exchange):
            redactor.sent(text)
        answer = exchange.answer
        redactor.named(answer if isinstance(answer, str) else json.dumps(answer, default=str))
        for field in _described(exchange):
            choices = field.get("picklistValues") or ()
            redactor.public(str(field.get("name")), [str(each.get("value")) for each in choices])
        _learn(exchange, redactor)
    return redactor


def _texts_sent(exchange: Exchange) -> Iterator[str]:
    yield from map(_plain, _QUOTED.findall((exchange.call.params or {}).get("q", "")))
    yield from _leaves(exchange.call.body)
    for row in _table(exchange.sent or ""):
        yield from row


def _leaves(node: object) -> Iterator[str]:
    if isinstance(node, str | int | float):
        yield str(node)
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        yield from _leaves(each)


def _described(exchange: Exchange) -> list[Mapping[str, Any]]:
    body = exchange.reply.body
    fields = body.get("fields") if isinstance(body, dict) and exchange.call.path.endswith("/describe") else None
    return [each for each in fields if isinstance(each, dict)] if isinstance(fields, list) else []


def _learn(exchange: Exchange, redactor: Redactor) -> None:
    """Have a redactor learn the values of records in a response, each with its field."""

    def seen(name: str, value: object) -> object:
        if name not in _PUBLIC and isinstance(value, str | int | float) and not isinstance(value, bool):
            redactor.seen(name, value if isinstance(value, str) else _number_text(value))
        return value

    answer = exchange.answer
    if isinstance(answer, str):
        _map_table(answer, seen)
    else:
        _map_json(answer, exchange.call, record=seen, other=lambda _name, value: value)


def _map_json(body: object, call: Call, *, record: _Leaf, other: _Leaf) -> object:
    """Put something in place of each value of an answer.

    :param record: says what, for a value of a record.
    :param other: likewise, for any other.
    """
    path = call.path.partition("/services/data/")[2].partition("/")[2] or call.path
    is_query = path.startswith("query")

    def mapped(node: object, name: str = "", *, of_record: bool = False) -> object:
        if isinstance(node, list):
            # A query's records are some, also where they lack ``attributes``.
            of_record = of_record or (is_query and name == "records")
            return [mapped(each, name, of_record=of_record) for each in node]
        if isinstance(node, dict):
            of_record = of_record or "attributes" in node
            return {
                key: None
                if key in _PROSE and not of_record
                else mapped(value, key, of_record=of_record and key != "attributes")
                for key, value in node.items()
            }
        return (record if of_record else other)(name, node)

    if call.path.startswith("/id/") and isinstance(body, dict):
        return {name: mapped(value, name, of_record=name not in _IDENTITY) for name, value in body.items()}
    return mapped(body)


def _table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def _map_table(text: str, cell: _Leaf) -> tuple[list[str], list[list[object]]]:
    """Put something in place of each cell of a CSV, and return its header and its rows."""
    header, *rows = _table(text) or [[]]
    return header, [[cell(name, value) for name, value in zip(header, row, strict=False)] for row in rows]


def _answer(exchange: Exchange, redactor: Redactor, org: Org) -> dict[str, Any]:
    call, reply, answer = exchange.call, exchange.reply, exchange.answer
    path = call.path if call.path.startswith("/") else f"/services/data/v{org.client.settings.api_version}/{call.path}"
    params = {name: redactor.soql(v) if name == "q" else redactor.text(v) for name, v in (call.params or {}).items()}
    headers = {name: reply.headers[name] for name in _KEPT_HEADERS if name in reply.headers}
    return {
        "request": f"{call.method} {redactor.text(path)}{query_of(params)}",
        "body": _request(call.body, redactor) if exchange.sent is None else _csv(exchange.sent, redactor),
        "status": reply.status,
        "headers": {name: redactor.text(value).partition("(appName")[0] for name, value in headers.items()},
        "reply": _csv(answer, redactor) if isinstance(answer, str) else _json(answer, redactor, call),
    }


def _request(node: object, redactor: Redactor, name: str = "") -> object:
    if isinstance(node, dict):
        return {key: _request(value, redactor, key) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_request(each, redactor, name) for each in node]
    if isinstance(node, str) and name == "query":
        return redactor.soql(node)
    return redactor.value(name, node)


def _json(body: object, redactor: Redactor, call: Call) -> object:
    def of_record(name: str, value: object) -> object:
        return value if name in _PUBLIC else redactor.value(name, value)

    def other(name: str, value: object) -> object:
        if not isinstance(value, str):
            return value
        return redactor.message(value) if name in _MESSAGES else redactor.text(value)

    return _map_json(body, call, record=of_record, other=other)


def _csv(text: str, redactor: Redactor) -> str:
    def redacted(name: str, value: object) -> object:
        return redactor.message(str(value)) if name in _MESSAGES else redactor.value(name, value)

    header, rows = _map_table(text, redacted)
    made = io.StringIO(newline="")
    writer = csv.writer(made, quoting=csv.QUOTE_ALL, lineterminator="\n")
    # Names of columns, unless something else than a table calls itself one.
    writer.writerows([list(map(redactor.message, header))] if header else [])
    writer.writerows(rows)
    return made.getvalue()
