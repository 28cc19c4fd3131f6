"""Redact what is somebody's: stand-ins that are the same for the same value, and of the same kind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from urllib.parse import quote as percent_encoded
from urllib.parse import quote_plus, unquote_plus

from airflow_provider_sfleads.salesforce.ids import checksum, to_18
from airflow_provider_sfleads.salesforce.soql import quote

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


def plain_of(literal: str) -> str:
    """Return the value of a SOQL literal, without its quotes."""
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), literal)


def literals_in(soql: str) -> list[str]:
    """Return the texts that a query holds."""
    return [plain_of(found) for found in _QUOTED.findall(soql)]


def number_text(value: float | Decimal) -> str:
    """Return the one text of a number, which an answer may have as 1.0E17 and a query as 100000000000000000."""
    return format(Decimal(str(value)).normalize(), "f")


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
            made = self._values.get(number_text(value))
            return value if made is None else int(made)
        text = str(value)
        if not self._is_somebodys(field, text):
            return self._moment(field, text) if _MOMENT.fullmatch(text) else self.ids(text)
        return self._values.get(text.casefold(), "text")

    def _is_somebodys(self, field: str, value: str) -> bool:
        if not value or value in self._ours or (field.lower(), value) in self._public:
            return False
        is_id = _ID.fullmatch(value) is not None and self._is_id(value)
        return not (is_id or value.lower() in ("true", "false") or _MOMENT.fullmatch(value))

    def _moment(self, field: str, text: str) -> str:
        return text if field.lower() in _SYSTEM_TIMES or text in self._ours else _DAY + text[len(_DAY) :]

    def ids(self, text: str) -> str:
        """Replace the ids in a text."""
        return _ID.sub(lambda found: self._id(found[0]), text)

    def _is_id(self, text: str) -> bool:
        full = to_18(text)
        return full is not None and (len(text) > _SHORT or _KEY_PREFIX.match(text) is not None)

    def _id(self, text: str) -> str:
        full = to_18(text)
        if full is None or text in self._ours or not self._is_id(text):
            return text
        if full not in self._ids:
            n = len(self._ids)
            head = f"{full[:3]}5g00000R{_BASE62[n // 62**3 % 62]}{_BASE62[n // 62**2 % 62]}"
            head += _BASE62[n // 62 % 62] + _BASE62[n % 62]
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
            values += [form for each in values for form in (quote_plus(each), percent_encoded(each, safe=""))]
            any_of = "|".join(map(re.escape, sorted(set(values), key=len, reverse=True)))
            self._found = re.compile(rf"{_AT_WORD}(?:{any_of})(?!\w)", re.IGNORECASE) if any_of else re.compile(r"(?!)")
        return self._found

    def soql(self, soql: str) -> str:
        """Replace the values in a query."""
        text = _QUOTED.sub(lambda found: quote(str(self.value("", plain_of(found[1])))), soql)
        return _NUMBERS_IN.sub(lambda found: ",".join(map(self._number, found[0].split(","))), text)

    def _number(self, text: str) -> str:
        return self._values.get(number_text(Decimal(text)), text)
