"""Jobs that are counted and not kept, for benchmarks: ids by number, and leads that only exist as numbers."""

from __future__ import annotations

import csv
import operator
from collections.abc import Callable, Iterator
from functools import cache

from airflow_provider_sfleads.emulator.bulk_jobs import Job
from airflow_provider_sfleads.emulator.ids import CHECK, LEAD_PREFIX, make_id, to_18

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Ids differ in their last five digits of base 62; two of these run through within one list of ends.
_RUN = 62 * 62
_LONG = 18


@cache
def _ends(high_bits: int, first_checks: str, tail: str) -> list[str]:
    """Return the last two digits, the check characters and `tail`, for each number of a run."""
    ends = []
    for third in _DIGITS:
        for fourth in _DIGITS:
            bits = high_bits | third.isupper() << 3 | fourth.isupper() << 4
            ends.append(f"{third}{fourth}{first_checks}{CHECK[bits]}{tail}")
    return ends


def lead_ids(first: int, count: int, before: str = "", after: str = "") -> Iterator[str]:
    """Yield the 18-character ids of the leads with these numbers, each with something before and after it."""
    number, last = first, first + count
    while number < last:
        low = number % _RUN
        many = min(last - number, _RUN - low)
        model = make_id(LEAD_PREFIX, number)
        bits = sum(1 << place for place, char in enumerate(model[10:13]) if "A" <= char <= "Z")
        head = before + model[:13]
        for end in _ends(bits, model[15:17], after)[low : low + many]:
            yield head + end
        number += many


def before(job: Job) -> Callable[[int, list[bytes]], list[bytes]]:
    """Return what stands before each record of a counted job's successful results, given the first's number."""
    quote_end = f'"{job.form.separator}'
    created = f'{quote_end}"{str(job.operation in {"insert", "upsert"}).lower()}{quote_end}'
    column = _id_column(job)

    def numbered(first: int, lines: list[bytes]) -> list[bytes]:
        ids = lead_ids(job.first_number + first, len(lines), '"', created)
        return list(map(operator.add, map(str.encode, ids), lines))

    def named(_first: int, lines: list[bytes]) -> list[bytes]:
        tail = created.encode()
        return [b'"' + _id_of(line, column or 0, job) + tail + line for line in lines]

    return numbered if column is None else named


def _id_column(job: Job) -> int | None:
    """Return the column that says which lead a row of an update or delete is for."""
    if job.operation not in {"update", "delete"} or job.content is None:
        return None
    return next((at for at, name in enumerate(job.content.columns) if name.lower() == "id"), None)


def _id_of(line: bytes, column: int, job: Job) -> bytes:
    if column == 0:
        found = line[1 : _LONG + 1] if line.startswith(b'"') else line[:_LONG]
        if len(found) == _LONG and found.isalnum():
            return found
    cells = next(csv.reader([line.decode("utf-8", "replace")], delimiter=job.form.separator))
    return (to_18(cells[column]) or cells[column]).encode()
