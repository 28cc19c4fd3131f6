"""Record all answers of a check as one JSON file that can be passed on: nothing in it is anybody's."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from airflow_provider_sfleads import __version__
from airflow_provider_sfleads.check.contract import Contract
from airflow_provider_sfleads.check.org import Exchange, Org
from airflow_provider_sfleads.check.redaction import Redactor, literals_in, number_text
from airflow_provider_sfleads.hooks.connection_fields import secrets_in
from airflow_provider_sfleads.salesforce.wire import Call, FileBody

_KEPT_HEADERS = ("content-type", "retry-after", "sforce-limit-info", "sforce-locator", "sforce-numberofrecords")
_IDENTITY = frozenset(
    {"id", "asserted_user", "user_id", "organization_id", "active", "user_type", "language", "locale", "utcOffset"}
)
_MESSAGES = frozenset({"message", "errorMessage", "error_description", "sf__Error"})
# What an admin wrote into the setup, in words of his own.
_PROSE = frozenset({"calculatedFormula", "defaultValueFormula", "filteredLookupInfo", "inlineHelpText"})
_PUBLIC = frozenset({"OrganizationType"})


def recording_of(contract: Contract) -> dict[str, Any]:
    """Return findings and answers, redacted.

    Ids become made-up ids of the same prefix, e-mail addresses, names and other values of records placeholders of the
    same kind; each the same wherever it stands, so that requests and answers still belong together. What the check
    itself made up stays. Messages keep their words, less the values of records that the check has read. Dates of
    answers are left out, for a replay happens later.
    """
    org = contract.org
    redactor = _taught(org)
    answers = [_answer(exchange, redactor, org) for exchange in org.exchanges]
    findings = [
        {name: redactor.text(str(text)) for name, text in asdict(finding).items()} for finding in contract.findings
    ]
    version = org.client.settings.api_version
    origin = f"contract check of airflow-provider-sfleads {__version__}, API version {version}, {org.edition}"
    return {"origin": origin.rstrip(", "), "findings": findings, "answers": answers}


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
        redactor.named(json.dumps(_body(exchange.reply.body), default=str) + (exchange.text or ""))
        for field in _described(exchange):
            choices = field.get("picklistValues") or ()
            redactor.public(str(field.get("name")), [str(each.get("value")) for each in choices])
        _learn(exchange, redactor)
    return redactor


def _texts_sent(exchange: Exchange) -> Iterator[str]:
    yield from literals_in((exchange.call.params or {}).get("q", ""))
    yield from _leaves(exchange.call.body)
    for row in csv.reader(io.StringIO(exchange.sent or "", newline="")):
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

    def seen(name: str, value: object, *, of_record: bool) -> object:
        if of_record and name not in _PUBLIC and isinstance(value, str | int | float) and not isinstance(value, bool):
            redactor.seen(name, value if isinstance(value, str) else number_text(value))
        return value

    _map_json(exchange.reply.body, seen, exchange.call)
    for text in (exchange.text, exchange.reply.body):
        if isinstance(text, str | bytes):
            _map_csv(text, seen)


class _Leaf(Protocol):
    """Says what stands for one value, of a record or of anything else."""

    def __call__(self, name: str, value: object, *, of_record: bool) -> object: ...


def _map_json(body: object, leaf: _Leaf, call: Call) -> object:
    if call.path.startswith("/id/") and isinstance(body, dict):
        return {name: _map(value, leaf, name, of_record=name not in _IDENTITY) for name, value in body.items()}
    path = call.path.partition("/services/data/")[2].partition("/")[2] or call.path
    return _map(body, leaf, is_query=path.startswith("query"))


def _map(node: object, leaf: _Leaf, name: str = "", *, of_record: bool = False, is_query: bool = False) -> object:
    """Put something in place of each value.

    :param of_record: whether the node is a part of a record.
    :param is_query: whether a list called ``records`` holds records, also where they lack ``attributes``.
    """
    if isinstance(node, list):
        of_record = of_record or (is_query and name == "records")
        return [_map(each, leaf, name, of_record=of_record, is_query=is_query) for each in node]
    if isinstance(node, dict):
        of_record = of_record or "attributes" in node
        return {
            key: None
            if key in _PROSE and not of_record
            else _map(value, leaf, key, of_record=of_record and key != "attributes", is_query=is_query)
            for key, value in node.items()
        }
    return leaf(name, node, of_record=of_record)


def _map_csv(text: str | bytes, leaf: _Leaf) -> tuple[list[str], list[list[object]]]:
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    header, *rows = list(csv.reader(io.StringIO(plain, newline=""))) or [[]]
    named = (zip(header, row, strict=False) for row in rows)
    return header, [[leaf(name, cell, of_record=True) for name, cell in row] for row in named]


def _body(body: object) -> object:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else body


def _answer(exchange: Exchange, redactor: Redactor, org: Org) -> dict[str, Any]:
    call, reply = exchange.call, exchange.reply
    path = call.path if call.path.startswith("/") else f"/services/data/v{org.client.settings.api_version}/{call.path}"
    params = {name: redactor.soql(v) if name == "q" else redactor.text(v) for name, v in (call.params or {}).items()}
    query = f"?{urlencode(params)}" if params else ""
    headers = {name: reply.headers[name] for name in _KEPT_HEADERS if name in reply.headers}
    text = exchange.text if exchange.text is not None else _body(reply.body)
    return {
        "request": f"{call.method} {redactor.text(path)}{query}",
        "body": _sent(exchange, redactor),
        "status": reply.status,
        "headers": {name: redactor.text(value).partition("(appName")[0] for name, value in headers.items()},
        "reply": _csv(text, redactor) if isinstance(text, str) else _json(text, redactor, call),
    }


def _sent(exchange: Exchange, redactor: Redactor) -> object:
    body = exchange.call.body
    if isinstance(body, FileBody):
        return _csv(exchange.sent or "", redactor)
    return _request(body, redactor)


def _request(node: object, redactor: Redactor, name: str = "") -> object:
    if isinstance(node, dict):
        return {key: _request(value, redactor, key) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_request(each, redactor, name) for each in node]
    if isinstance(node, str) and name == "query":
        return redactor.soql(node)
    plain = node if isinstance(node, str | int | float) or node is None else str(node)
    return redactor.value(name, plain)


def _json(body: object, redactor: Redactor, call: Call) -> object:
    def redacted(name: str, value: object, *, of_record: bool) -> object:
        if of_record:
            return value if name in _PUBLIC else redactor.value(name, value)
        if isinstance(value, str):
            return redactor.message(value) if name in _MESSAGES else redactor.text(value)
        return value

    return _map_json(body, redacted, call)


def _csv(text: str, redactor: Redactor) -> str:
    def redacted(name: str, value: object, *, of_record: bool) -> object:  # noqa: ARG001 - each cell is
        return redactor.message(str(value)) if name in _MESSAGES else redactor.value(name, value)

    header, rows = _map_csv(text, redacted)
    made = io.StringIO(newline="")
    writer = csv.writer(made, quoting=csv.QUOTE_ALL, lineterminator="\n")
    # Names of columns, unless something else than a table calls itself one.
    writer.writerows([list(map(redactor.message, header))] if header else [])
    writer.writerows(rows)
    return made.getvalue()
