"""What describe says of an sObject, as far as a sync needs it, and what the Run-As user has to be allowed.

Salesforce filters describe by the running user's field-level security: an absent field does not exist or
may not be seen (REST API Developer Guide, "sObject Describe").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_sfleads.exceptions import (
    LeadAccessError,
    MappingError,
    ObjectAccessError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.salesforce.replies import errors_of, plain_text
from airflow_provider_sfleads.salesforce.wire import Call, Reply

#: Brings text into the form in which it is compared where letter case does not count.
#: lower() and not casefold(): the latter would take "straße" and "strasse" for one value.
without_case: Callable[[str], str] = str.lower

_PICKLISTS = frozenset({"picklist", "multipicklist"})
_NAME = re.compile(r"[A-Za-z]\w{0,99}", re.ASCII)
_MOST = 10**9

_VERSION = re.compile(r"\d{2,3}\.\d", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldInfo:
    """One field of an sObject, with its type in Salesforce's own spelling.

    ``picklist_values`` are the active ones, ``inactive_values`` the others, both as the org spells them. A field that
    is not ``filterable`` can be read, and no query finds records by it: long text areas, and fields that are encrypted
    at random (Shield Platform Encryption).
    """

    name: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    digits: int = 0
    nillable: bool = True
    createable: bool = True
    updateable: bool = True
    defaulted_on_create: bool = False
    external_id: bool = False
    id_lookup: bool = False
    unique: bool = False
    case_sensitive: bool = False
    restricted_picklist: bool = False
    filterable: bool = True
    picklist_values: Collection[str] = ()
    inactive_values: Collection[str] = ()
    _spellings: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the values of a picklist; active ones go first, and the exact spelling before all others."""
        known = {self.compared(value): value for value in (*self.inactive_values, *self.picklist_values)}
        object.__setattr__(self, "_spellings", known | {value: value for value in self.picklist_values})

    @property
    def ignores_case(self) -> bool:
        """Whether values that differ in letter case alone are one value: e-mail addresses and those of picklists.

        Salesforce holds for a picklist's values, listed or not, that the first spelling is that of all (Object
        Reference, "Picklist Field Type"; Salesforce Help, article 000386557).
        """
        return self.type == "email" or (self.type in _PICKLISTS and not self.case_sensitive)

    @property
    def whole_digits(self) -> int:
        """How many digits a number may have before its point; of an org that does not say, as many as usual."""
        return self.digits or 9 if self.type in ("int", "long") else (self.precision or 18) - self.scale

    def compared(self, value: str) -> str:
        """Bring one value, of a multi-select picklist one choice, into the form in which Salesforce compares it.

        :param value: without blanks around it.
        """
        return without_case(value) if self.ignores_case else value

    def spelled(self, value: str) -> str:
        """Spell one value as the org does; what its picklist does not know, and other fields' text, stays as it is.

        :param value: without blanks around it.
        """
        return self._spellings.get(value) or self._spellings.get(self.compared(value), value)

    @property
    def required_on_create(self) -> bool:
        """Whether an insert without a value fails; layouts and validation rules may ask for more."""
        return self.createable and not (self.nillable or self.defaulted_on_create or self.type == "boolean")


@dataclass(frozen=True, slots=True, kw_only=True)
class SObjectInfo:
    """An sObject's fields, found without regard to letter case as Salesforce does.

    ``createable`` and ``updateable`` say what the running user may do to its records.
    """

    name: str
    fields: Mapping[str, FieldInfo] = field(repr=False)
    createable: bool = True
    updateable: bool = True

    def find(self, name: str) -> FieldInfo | None:
        """Return the field of that name, or ``None`` where it does not exist or may not be seen."""
        return self.fields.get(name.lower())

    def visible(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of some fields that may be asked for, each once.

        One field too many costs the whole query, so every look-up asks for these alone: a lookup field is hidden from
        who may not read the object that it leads to (REST API Developer Guide, "sObject Describe").
        """
        return tuple(dict.fromkeys(name for name in names if self.find(name) is not None))

    def unseen(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of some fields that may not."""
        return tuple(dict.fromkeys(name for name in names if self.find(name) is None))

    @property
    def required_on_create(self) -> tuple[FieldInfo, ...]:
        """The fields that an insert cannot do without."""
        return tuple(info for info in self.fields.values() if info.required_on_create)


def parse_describe(body: Mapping[str, Any]) -> SObjectInfo:
    """Read the body of ``GET /sobjects/<name>/describe``.

    :raises ServiceUnavailableError: where it is none; field names go into queries and paths.
    """
    try:
        infos = [_field(raw) for raw in body["fields"]]
        return SObjectInfo(
            name=_name(body["name"]),
            fields={info.name.lower(): info for info in infos},
            createable=body.get("createable") is not False,
            updateable=body.get("updateable") is not False,
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ServiceUnavailableError(
            f"Salesforce describes an object in a form that is none ({type(error).__name__}). Try again later; if it "
            "comes back, check what stands between this machine and Salesforce."
        ) from error


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError("no name")
    return value


def _count(value: object) -> int:
    if value is not None and (not isinstance(value, int) or not 0 <= value < _MOST):
        raise ValueError("no number")
    return value or 0


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _field(raw: Mapping[str, Any]) -> FieldInfo:
    values: Sequence[Mapping[str, Any]] = raw.get("picklistValues") or ()
    return FieldInfo(
        name=_name(raw["name"]),
        type=_name(raw["type"]),
        length=_count(raw.get("length")),
        precision=_count(raw.get("precision")),
        scale=_count(raw.get("scale")),
        digits=_count(raw.get("digits")),
        nillable=bool(raw.get("nillable")),
        createable=bool(raw.get("createable")),
        updateable=bool(raw.get("updateable")),
        defaulted_on_create=bool(raw.get("defaultedOnCreate")),
        external_id=bool(raw.get("externalId")),
        id_lookup=bool(raw.get("idLookup")),
        unique=bool(raw.get("unique")),
        case_sensitive=bool(raw.get("caseSensitive")),
        restricted_picklist=bool(raw.get("restrictedPicklist")),
        filterable=bool(raw.get("filterable", True)),
        picklist_values=tuple(_text(value["value"]) for value in values if value.get("active", True)),
        inactive_values=tuple(_text(value["value"]) for value in values if not value.get("active", True)),
    )


def versions_call() -> Call:
    """Ask for the list; it costs no API request."""
    return Call(method="GET", path="/services/data/")


def offered_in(body: object) -> list[str]:
    """Return the versions on a list, oldest first; what has not the form of one is left out."""
    items = body if isinstance(body, list) else []
    named = (item.get("version") for item in items if isinstance(item, dict))
    return sorted((name for name in named if isinstance(name, str) and _VERSION.fullmatch(name)), key=float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a sync does, whatever its rows are.

    :param contacts: contacts are looked up by e-mail.
    :param active_rule: the org's active assignment rule is to run.
    """

    creates: bool = False
    updates: bool = False
    contacts: bool = False
    active_rule: bool = False


def check_writable(lead: SObjectInfo, needs: Needs, *, conn_id: str) -> None:
    """Refuse what the Run-As user may not do to leads, by what describe says of the object.

    :raises LeadAccessError: naming the permissions.
    """
    wanted = {"Create": needs.creates and not lead.createable, "Edit": needs.updates and not lead.updateable}
    lacking = [permission for permission, is_lacking in wanted.items() if is_lacking]
    if lacking:
        raise LeadAccessError(
            f"The Run-As user of connection {conn_id!r} may not {' and '.join(lacking).lower()} leads. Give it a "
            f"permission set with {' and '.join(lacking)} on Lead.",
            status=200,
        )


def in_one(problems: Sequence[SalesforceLeadsError], *, conn_id: str) -> SalesforceLeadsError:
    """Make one error of all that is lacking, so that whoever mends it does so once."""
    if len(problems) == 1:
        return problems[0]
    sentences: list[str] = []
    for problem in problems:
        sentences += problem.problems if isinstance(problem, MappingError) else [str(problem)]
    refused = [problem for problem in problems if isinstance(problem, ObjectAccessError)]
    lines = "".join(f"\n  - {sentence}" for sentence in sentences)
    return ObjectAccessError(
        f"The Run-As user of connection {conn_id!r} cannot do this; nothing is read of the export or sent:{lines}",
        status=refused[0].status,
        codes=tuple(code for problem in refused for code in problem.codes),
    )


@dataclass(frozen=True, slots=True)
class SecondObject:
    """An object beside Lead, and what to say where it may not be read.

    :param sobject: its API name.
    :param reader: the parameter that has it read.
    :param remedy: what to give the Run-As user, or to change in the Dag.
    """

    sobject: str
    reader: str
    remedy: str

    def check(self, reply: Reply, *, conn_id: str) -> None:
        """Refuse a reply that says that the object, or the fields asked for, cannot be seen.

        :raises ObjectAccessError: naming object, permission and parameter.
        """
        errors = errors_of(reply)
        if any(error.entry.hides for error in errors):
            raise ObjectAccessError(
                f"{self.reader} reads {self.sobject}, and the Run-As user of connection {conn_id!r} has no Read access "
                f"to it (HTTP {reply.status}: {plain_text(errors)}). {self.remedy}",
                status=reply.status,
                codes=tuple(error.code for error in errors),
            )


CONTACT = SecondObject(
    "Contact",
    "match_email=True",
    "Give it a permission set with Read on Contact and on its field Email (and View All on Contact, to find those of "
    "other owners), or set match_email=False.",
)
ASSIGNMENT_RULE = SecondObject(
    "AssignmentRule",
    "assignment_rule='default' in bulk",
    "Give it a permission set with View Setup and Configuration, or give assignment_rule the rule's own id (01Q...), "
    "or take api='collections'.",
)


def contacts_call() -> Call:
    """Ask for as little as shows whether contacts can be found by e-mail; no value of anybody is read."""
    return Call(
        method="GET", path="query", params={"q": "SELECT Id FROM Contact WHERE Email = 'nobody@invalid' LIMIT 1"}
    )
