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
    """The function that turns a stored value, not None, into its JSON form."""
    if spec.type == "boolean":
        return bool
    if spec.type == "address":
        return json.loads
    return _same


def record(row: Mapping[str, Any], specs: Iterable[FieldSpec]) -> dict[str, Any]:
    """These fields of a stored record."""
    return {spec.name: None if (value := row.get(spec.name)) is None else output(spec)(value) for spec in specs}


def sobject(row: Mapping[str, Any], specs: Iterable[FieldSpec], *, name: str, prefix: str) -> dict[str, Any]:
    """A record as the row and collections resources give it out."""
    attributes = {"type": name, "url": f"{prefix}/sobjects/{name}/{row['Id']}"}
    return {"attributes": attributes, **record(row, specs)}
