"""Finds a few of the rejected rows in the results, without reading more than it has to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.alert import TOP_KEYS, Example
from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.results.files import directory_at
from airflow_provider_sfleads.results.parts import part_names

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


def reject_examples(url: str, counts: Mapping[str, int], *, seconds: float) -> dict[str, Example]:
    """Return examples of rejected rows by error code, the first ones in the results.

    Memory holds one group of rows (:data:`~.parts.GROUP_ROWS`), and of most of them two columns.

    :param url: folder of an execution, a report's ``results_path``.
    :param counts: the error codes to look for, with the number of rows of each.
    :param seconds: how long to look; what was found by then is returned.
    :raises OSError, ValueError: where the results cannot be read.
    """
    import pyarrow.parquet as pq

    deadline = time.monotonic() + seconds
    found: dict[str, Example] = {}
    wanted = {code: min(count, TOP_KEYS) for code, count in counts.items()}
    directory = directory_at(url)
    for name in part_names(directory):
        with directory.open(name) as stream, pq.ParquetFile(stream) as file:
            for group in range(file.num_row_groups):
                open_codes = {code: n for code, n in wanted.items() if code not in found or len(found[code].keys) < n}
                if not open_codes or time.monotonic() > deadline:
                    return found
                _look(file, group, open_codes, found)
    return found


def _look(file: pq.ParquetFile, group: int, wanted: Mapping[str, int], found: dict[str, Example]) -> None:
    """Add what one group of rows has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = file.read_row_group(group, columns=["action", "error_code"])
    is_wanted = pc.and_(
        pc.equal(table["action"], str(Action.REJECTED)), pc.is_in(table["error_code"], pa.array(list(wanted)))
    )
    if not pc.any(is_wanted).as_py():
        return
    columns = ["key", "error_code", "api", "error_fields", "error_message"]
    rejects = file.read_row_group(group, columns=columns).filter(is_wanted)
    for code, count in wanted.items():
        _add(rejects.filter(pc.equal(rejects["error_code"], code)).slice(0, count), code, count, found)


def _add(rejects: pa.Table, code: str, count: int, found: dict[str, Example]) -> None:
    if not rejects.num_rows:
        return
    keys = tuple(key or "" for key in rejects["key"].to_pylist())
    earlier = found.get(code)
    first = rejects.slice(0, 1).to_pylist()[0]
    found[code] = Example(
        keys=((earlier.keys if earlier else ()) + keys)[:count],
        was_sent=earlier.was_sent if earlier else first["api"] is not None,
        fields=earlier.fields if earlier else tuple(first["error_fields"] or ()),
        message=earlier.message if earlier else first["error_message"],
    )
