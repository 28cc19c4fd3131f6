"""A record of a request on its way into the store, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_sfleads.emulator.deviations import deviating
from airflow_provider_sfleads.emulator.fields import ObjectSchema
from airflow_provider_sfleads.emulator.values import Converter, FieldProblem, Stored, converter
from airflow_provider_sfleads.emulator.wire import ApiError, RowError

# A value of the wrong JSON type, where it costs its record and not the whole request.
WRONG_TYPE = "INVALID_TYPE_ON_FIELD_IN_RECORD"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What Salesforce says about one record; `created` is None where the operation has no choice.

    `known_id` is the lead that a refused record was for, where that much is known.
    """

    id: str | None
    success: bool
    created: bool | None = None
    errors: tuple[RowError, ...] = ()
    known_id: str | None = None


@dataclass(slots=True, kw_only=True)
class Draft:
    """One record while it is checked: the values sent, and the lead they are for (`placed`)."""

    sent: Mapping[str, Any]
    values: dict[str, Stored] = field(default_factory=dict)
    errors: list[RowError] = field(default_factory=list)
    id: str | None = None
    current: dict[str, Any] | None = None
    placed: bool = True

    def fail(self, code: str, message: str, *fields: str, status: int = 400) -> None:
        """Refuse the record; later checks pass over it."""
        self.errors.append(RowError(code=code, message=message, fields=fields, status=status))

    def lose(self, code: str, message: str, *fields: str, status: int = 400) -> None:
        """Refuse the record for a lead that is not known or may not be touched; nothing else is said of it."""
        self.placed = False
        self.errors[:] = []
        self.fail(code, message, *fields, status=status)


class Reader:
    """Turns records as sent into drafts, by the fields that the run-as user may see."""

    def __init__(self, schema: ObjectSchema, *, per_row: bool, broken: Collection[str] = ()) -> None:
        self._schema = schema
        self._per_row = per_row
        self._broken = frozenset(broken)
        self._converters: dict[str, tuple[str, Converter]] = {
            name: (name, deviating(spec, converter(spec), self._broken)) for name, spec in schema.fields.items()
        }

    def read(self, record: Mapping[str, Any]) -> Draft:
        """Return the draft of a record; raises for the whole call where the record is malformed."""
        draft = Draft(sent=record)
        known = self._converters
        values = draft.values
        for name, raw in record.items():
            if name == "attributes":
                continue
            found = known.get(name) or self._find(name, draft)
            if found is None:
                continue
            canonical, convert = found
            try:
                values[canonical] = convert(raw)
            except FieldProblem as problem:
                self._refuse(draft, problem)
        return draft

    def _find(self, name: str, draft: Draft) -> tuple[str, Converter] | None:
        spec = self._schema.find(name)
        if spec is not None:
            return self._converters[spec.name]
        if "unknown_field" in self._broken:
            return None
        message = f"No such column '{name}' on sobject of type {self._schema.name}"
        self._refuse(draft, FieldProblem("INVALID_FIELD", message, field=name, structural=True))
        return None

    def _refuse(self, draft: Draft, problem: FieldProblem) -> None:
        if problem.structural and not self._per_row:
            raise ApiError(problem.code, problem.message)
        code = problem.code
        if code == "JSON_PARSER_ERROR":
            code = WRONG_TYPE
        draft.fail(code, problem.message, problem.field)
