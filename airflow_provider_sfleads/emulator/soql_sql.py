"""From a SOQL tree to parameterised SQL, by the fields that the run-as user sees."""

# ruff: noqa: S608 - names of known tables and fields go into SQL, quoted; values are parameters

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NoReturn

from airflow_provider_sfleads.emulator.fields import NUMBER_TYPES, TEXT_TYPES, FieldSpec, ObjectSchema, fold, key_of
from airflow_provider_sfleads.emulator.ids import to_18
from airflow_provider_sfleads.emulator.json_types import Json
from airflow_provider_sfleads.emulator.soql_parser import Comparison, Condition, Logic, Order, Query
from airflow_provider_sfleads.emulator.soql_tokens import Token, like_pattern, malformed, string_value
from airflow_provider_sfleads.emulator.store import quoted
from airflow_provider_sfleads.emulator.values import format_datetime, parse_datetime
from airflow_provider_sfleads.emulator.wire import ApiError

MAX_OFFSET = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """SQL that answers a query; no columns means that it counts."""

    object: str
    columns: tuple[FieldSpec, ...]
    sql: str
    parameters: list[Any] = field(default_factory=list)


def compile_query(query: Query, schemas: Mapping[str, ObjectSchema], *, include_deleted: bool) -> Compiled:
    """Return the SQL of a query."""
    return _Compiler(query, schemas, include_deleted=include_deleted).compile()


class _Compiler:
    def __init__(self, query: Query, schemas: Mapping[str, ObjectSchema], *, include_deleted: bool) -> None:
        self._query = query
        self._include_deleted = include_deleted
        by_lower = {name.lower(): schema for name, schema in schemas.items()}
        schema = by_lower.get(query.object.text.lower())
        if schema is None:
            raise ApiError(
                "INVALID_TYPE",
                f"\nERROR at Row:1:Column:{query.object.at + 1}\nsObject type '{query.object.text}' is not supported.",
            )
        self._schema = schema
        self._parameters: list[Any] = []

    def compile(self) -> Compiled:
        query = self._query
        columns = self._columns()
        where = [self._condition(query.where)] if query.where else []
        if "IsDeleted" in self._schema.fields and not self._include_deleted:
            where.append("NOT IsDeleted")
        what = ", ".join(quoted(spec.name) for spec in columns) or "COUNT(*)"
        sql = f"SELECT {what} FROM {quoted(self._schema.name)}"
        if where:
            sql += " WHERE " + " AND ".join(f"({part})" for part in where)
        if columns:
            sql += self._order_by() + self._window()
        return Compiled(object=self._schema.name, columns=columns, sql=sql, parameters=self._parameters)

    def _columns(self) -> tuple[FieldSpec, ...]:
        found: dict[str, FieldSpec] = {}
        for token in self._query.fields:
            spec = self._field(token)
            if spec.name in found:
                malformed(self._query.text, token.at, f"duplicate field selected: {spec.name}")
            found[spec.name] = spec
        return tuple(found.values())

    def _field(self, token: Token) -> FieldSpec:
        spec = self._schema.find(token.text)
        if spec is None:
            raise ApiError(
                "INVALID_FIELD",
                f"\nERROR at Row:1:Column:{token.at + 1}\nNo such column '{token.text}' on entity "
                f"'{self._schema.name}'. If you are attempting to use a custom field, be sure to append the '__c' "
                "after the custom field name. Please reference your WSDL or the describe call for the appropriate "
                "names.",
            )
        return spec

    def _filtered(self, token: Token) -> FieldSpec:
        spec = self._field(token)
        if spec.type == "address":
            self._refuse("INVALID_FIELD", token, "Address fields can only be filtered using Distance expressions")
        if not spec.filterable:
            self._refuse("INVALID_FIELD", token, f"field '{spec.name}' can not be filtered in a query call")
        return spec

    @staticmethod
    def _refuse(code: str, token: Token, why: str) -> NoReturn:
        raise ApiError(code, f"\nERROR at Row:1:Column:{token.at + 1}\n{why}")

    def _order_by(self) -> str:
        terms = [self._order_term(term) for term in self._query.order]
        return " ORDER BY " + ", ".join([*terms, '"Id"'])

    def _order_term(self, term: Order) -> str:
        spec = self._field(term.field)
        if not spec.sortable:
            self._refuse("MALFORMED_QUERY", term.field, f"field '{spec.name}' can not be sorted in a query call")
        column = f"fold({quoted(spec.name)})" if spec.type in TEXT_TYPES else quoted(spec.name)
        direction = "DESC" if term.descending else "ASC"
        return f"{column} {direction} NULLS {'LAST' if term.nulls_last else 'FIRST'}"

    def _window(self) -> str:
        offset, limit = self._query.offset or 0, self._query.limit
        if offset > MAX_OFFSET:
            raise ApiError("NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {MAX_OFFSET}")
        return f" LIMIT {-1 if limit is None else limit} OFFSET {offset}"

    def _condition(self, condition: Condition) -> str:
        if isinstance(condition, Comparison):
            return self._comparison(condition)
        return self._logic(condition)

    def _logic(self, logic: Logic) -> str:
        parts = [f"({self._condition(part)})" for part in logic.parts]
        if logic.operator == "NOT":
            # SOQL knows no third truth value: what is not known to hold does not hold.
            return f"NOT COALESCE({parts[0]}, 0)"
        return f" {logic.operator} ".join(parts)

    def _comparison(self, comparison: Comparison) -> str:
        spec = self._filtered(comparison.field)
        if comparison.operator == "LIKE":
            return self._like(spec, comparison)
        values = [self._value(spec, token) for token in comparison.literals]
        if comparison.operator in {"IN", "="}:
            return self._among(spec, values)
        if comparison.operator in {"NOT IN", "!="}:
            return f"NOT COALESCE(({self._among(spec, values)}), 0)"
        if spec.type == "boolean" or values[0] is None:
            self._wrong_operator(comparison)
        self._parameters.append(_folded(spec, values[0]))
        return f"{_column(spec)} {comparison.operator} ?"

    def _wrong_operator(self, comparison: Comparison) -> NoReturn:
        raise ApiError("INVALID_FIELD", f"{comparison.field.text}: invalid operator {comparison.operator}")

    def _like(self, spec: FieldSpec, comparison: Comparison) -> str:
        (token,) = comparison.literals
        if spec.type not in TEXT_TYPES or token.kind != "string":
            self._wrong_operator(comparison)
        self._parameters.append(fold(like_pattern(token, self._query.text)))
        return f"{_column(spec)} LIKE ? ESCAPE '\\'"

    def _among(self, spec: FieldSpec, values: list[Any]) -> str:
        present = [value for value in values if value is not None]
        choices = []
        if len(present) < len(values):
            choices.append(f"{quoted(spec.name)} IS NULL")
        if present:
            choices.append(self._is_one_of(spec, present))
        return " OR ".join(choices)

    def _is_one_of(self, spec: FieldSpec, values: list[Any]) -> str:
        marks = ",".join("?" * len(values))
        if spec.keyed and spec.type != "id":
            # By way of the index. It holds live records only, so a deleted one is compared itself.
            self._parameters += [self._schema.name, spec.name, *(key_of(spec, value) for value in values)]
            indexed = f'"Id" IN (SELECT id FROM record_key WHERE object = ? AND field = ? AND key IN ({marks}))'
            if not self._include_deleted or "IsDeleted" not in self._schema.fields:
                return indexed
            self._parameters += [_folded(spec, value) for value in values]
            return f"{indexed} OR (IsDeleted AND {_column(spec)} IN ({marks}))"
        self._parameters += [_folded(spec, value) for value in values]
        return f"{_column(spec)} IN ({marks})"

    def _value(self, spec: FieldSpec, token: Token) -> Json:
        if token.says("NULL"):
            return None
        if spec.type == "boolean" and token.kind == "name":
            return int(token.says("TRUE"))
        if spec.type in NUMBER_TYPES and token.kind == "number":
            return float(token.text)
        if spec.type in {"id", "reference"} and token.kind == "string":
            return self._id(spec, token)
        if spec.type in TEXT_TYPES and token.kind == "string":
            return string_value(token, self._query.text)
        return self._date(spec, token)

    def _id(self, spec: FieldSpec, token: Token) -> str:
        text = string_value(token, self._query.text)
        value = to_18(text)
        if value is None:
            raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"{spec.name}: invalid ID field: {text}")
        return value

    def _date(self, spec: FieldSpec, token: Token) -> str:
        try:
            if spec.type == "date" and token.kind == "date":
                return date.fromisoformat(token.text).isoformat()
            moment = parse_datetime(token.text) if spec.type == "datetime" and token.kind == "datetime" else None
        except ValueError:
            malformed(self._query.text, token.at, f"invalid date: {token.text}")
        if moment is None:
            enclosed = "should not be enclosed in quotes" if token.kind == "string" else "is none"
            raise ApiError(
                "INVALID_FIELD",
                f"\nERROR at Row:1:Column:{token.at + 1}\nvalue of filter criterion for field '{spec.name}' must be "
                f"of type {spec.type} and {token.text[:40]} {enclosed}",
            )
        return format_datetime(moment)


def _column(spec: FieldSpec) -> str:
    if spec.type in TEXT_TYPES and not spec.case_sensitive:
        return f"fold({quoted(spec.name)})"
    return quoted(spec.name)


def _folded(spec: FieldSpec, value: Json) -> Json:
    if isinstance(value, str) and spec.type in TEXT_TYPES and not spec.case_sensitive:
        return fold(value)
    return value
