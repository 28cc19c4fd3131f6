"""From what is stored to what goes out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from airflow_provider_sfleads.emulator.fields import FieldSpec
from airflow_provider_sfleads.emulator.json_types import Json


def _same(value: Json) -> Json:
    return value


def output(spec: FieldSpec) -> Callable[[Any], Any]:
    """Return the function that turns a stored value, not None, into its JSON form."""
    if spec.type == "boolean":
        return bool
    if spec.type == "address":
        return json.loads
    return _same


def record(row: Mapping[str, Any], specs: Iterable[FieldSpec]) -> dict[str, Any]:
    """Return these fields of a stored record."""
    return _fields(row, [(spec.name, output(spec)) for spec in specs])


def _fields(row: Mapping[str, Any], makers: Iterable[tuple[str, Callable[[Any], Any]]]) -> dict[str, Any]:
    return {name: None if (value := row.get(name)) is None else make(value) for name, make in makers}


def renderer(specs: Iterable[FieldSpec], *, name: str, prefix: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return the function that turns a stored record into what the row and collections resources give out."""
    makers = [(spec.name, output(spec)) for spec in specs]

    def render(row: Mapping[str, Any]) -> dict[str, Any]:
        attributes = {"type": name, "url": f"{prefix}/sobjects/{name}/{row['Id']}"}
        return {"attributes": attributes, **_fields(row, makers)}

    return render
