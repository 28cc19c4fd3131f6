# ruff: noqa: DTZ001, E501, TID253 - clocks without zone, lists of cases, no Dag file
"""Rows of every sort that an export may yield, taken in one by one and by the column."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Outcome
from airflow_provider_sfleads.emulator.describe import describe_object
from airflow_provider_sfleads.emulator.lead_fields import lead_schema
from airflow_provider_sfleads.exports.record_batches import Chunk, chunk_rows
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.intake import ColumnIntake, as_text
from airflow_provider_sfleads.pipeline.key_memory import KeyMemory
from airflow_provider_sfleads.pipeline.plan import Candidate, Settled
from airflow_provider_sfleads.pipeline.plan_settings import PlanSettings
from airflow_provider_sfleads.pipeline.prepare import prepare
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_rows import candidates
from airflow_provider_sfleads.salesforce.describe import parse_describe
from tests.pipeline.org import lead_id
from tests.pipeline.runs import Seen, field_of, ground, taken_in

_DESCRIBED = describe_object(lead_schema(), "/services/data/v60.0")
#: The emulator's Lead, and one field more, of a type that its own have not.
LEAD = parse_describe({**_DESCRIBED, "fields": [*_DESCRIBED["fields"], field_of("Call_At__c", "time")]})
KEYS = ("External_Id__c", "Case_Key__c", "Number_Key__c")
#: Fields that an insert and an update write, less those that every request maps.
FIELDS = sorted(
    info.name
    for info in LEAD.fields.values()
    if info.createable and info.updateable and info.name not in {*KEYS, "LastName", "Company"}
)

WORDS = st.one_of(
    st.text(st.sampled_from("aAzß İé\u0085\u2028 \t\r\n\0;#N/A@.,💶"), max_size=6),
    st.text(st.characters(codec="utf-8"), max_size=3),
    st.sampled_from(
        ["", " ", "\0", " \0", "#N/A", " #n/a ", "#N/A\r", "a" * 41, "é" * 41, "💶" * 40 + "  ", " " * 300, "x" * 32_001,
         "a@b.co", " A@B.CO ", "a@b", "a@é.fr", "a@b.co\n", "x" * 80 + "@b.co", "a@b.c" + "o" * 80,
         "smb", " SMB", "Product;Pricing", "product; ;", ";", "x;y", "Web", "MQL", "New", "mql "]
    ),
)  # fmt: skip
FIGURES = st.one_of(
    st.decimals(-(10**9), 10**9, places=3).map(str),
    st.integers(-(10**19), 10**19).map(str),
    st.sampled_from(
        ["7", "7.0", "007", " 7 ", "-0", "-007.50", "00.5", "+5", ".5", "5.", "1e3", "1E-7", "1_000", "\u0667", "nan", "NaN", "inf",
         "99999999", "100000000", "1" * 18, "1" * 19, "0." + "1" * 40, "-", "0x1", "80.1", "80.10000000000000001", "1e999"]
    ),
)  # fmt: skip
MOMENTS = st.one_of(
    st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(dt.datetime.isoformat),
    st.builds(
        "{}{}{}{}{}".format,
        st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31)).map(lambda moment: f"{moment:%Y-%m-%d %H:%M:%S}"),
        st.sampled_from(["", ".", ".5", ".000", ".123456", ".1234567", ".123456789", ".123456789012", ".1234567890123", "12"]),
        st.sampled_from(["", " "]),
        st.sampled_from(["", "Z", "UTC", "z", "utc", "+00", "-0800", "+05:30", "+14:00", "-15:59", "+1600", "+02:75", "CET"]),
        st.sampled_from(["", "", "", " ", "[UTC]"]),
    ),
    st.sampled_from(
        ["2026-02-29", "2024-02-29", "2000-02-29", "1900-02-29", "2026-04-31", "2026-11-31 10:00:00", "2026-11-24", " 2026-11-24\r\n", "20261124", "2026-W48-2", "2026-11-24T24:00:00",
         "2026-11-24 23:59:60", "2026-11-24T10:20:30.5", "2026-11-24T10:20:30.1234567Z", "2026-11-24T10:20:30,5",
         "2026-11-24T23:30:00+02:00", "2026-11-24T00:30:00-13:59", "2026-11-24T10:20:30+14:00", "2026-11-24T10:20Z",
         "2026-11-24T10:20:30+02:00:30", "2026-11-24x10:20:30", "0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00",
         "0000-01-01", "2026-13-01", "2026-00-10", "10:20", "10:20:30.5+02:00", "2026-11-24T10:20:30z",
         "2026-03-05+02:00", "2026-03-05Z", "1712031500000", "17120315000", "20000-01-01", "infinity", "0044-03-15 BC"]
    ),
)  # fmt: skip
IDS = st.sampled_from(
    [lead_id(1), lead_id(1)[:15], lead_id(2), lead_id(2).lower(), lead_id(2).upper(), lead_id(3)[:15] + "AAA", lead_id(4)[:17],
     f" {lead_id(1)}\n", lead_id(1).swapcase(), "0055g00000000aB", "00Q5g0000000é01", "00Q5g00000\0aaab", "null", ""]
)  # fmt: skip
CLOCKS = st.one_of(
    st.times().map(dt.time.isoformat),
    st.sampled_from(
        ["9:00:00", " 9:05 ", "09", "0900", "1230", "090000.5", "9:00 UTC", "T09:00", "24:00", "24:00:00", "23:59:60", "-1:00:00", "1 day, 2:00:00", "26:00:00",
         "09:00:00Z", "9:00:00+00:00", "09:00:00+02:00", "00:30:00-13:59", "9:00:00.5", "9:00:00,5", "noon", "09:00:00.1234567"]
    ),
)  # fmt: skip
TRUTHS = st.sampled_from(["true", "TRUE ", "f", "No", "1", "0", "1.0", "2", "ja", "yes\n"])
TEXTS = st.one_of(WORDS, FIGURES, MOMENTS, IDS, TRUTHS)

_FLOATS = st.one_of(
    st.floats(),
    st.sampled_from(
        [0.0, -0.0, 7.0, 0.1, 80.1, 1e300, 1e15, 1e16, 12345678901.5, 1e-4, 9.9e-5, 2.0**53, 1e8, 99999999.0]
    ),
    st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
)
_ZONES: st.SearchStrategy[Any] = st.sampled_from(
    [None, dt.UTC, ZoneInfo("Europe/Berlin"), dt.timezone(dt.timedelta(hours=-12))]
)
_DATES = st.dates(dt.date(1, 1, 4), dt.date(9999, 12, 28))
# With the tick before and after 1970, and dates whose clock is told by a rule.
_TICKS = st.one_of(st.integers(-61 * 10**9, 252 * 10**9), st.integers(-2, 2), st.integers(17 * 10**8, 30 * 10**8))


def _whole(bits: int, low: int, high: int) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    kind = pa.type_for_alias(f"{'' if low else 'u'}int{bits}")
    return kind, st.one_of(
        st.integers(low, high), st.integers(max(low, -9), min(high, 120)), st.sampled_from([low, high])
    )


def _decimal(kind: pa.DataType) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    # From what it holds at most, and from few cents.
    units = st.one_of(st.integers(1 - 10**kind.precision, 10**kind.precision - 1), st.integers(-99, 99))
    return kind, units.map(lambda number: Decimal(f"{number}E{-kind.scale}"))


def _moment(unit: str, zone: str | None) -> tuple[pa.DataType, st.SearchStrategy[Any]]:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    parts = st.integers(0, per_second - 1)
    return pa.timestamp(unit, tz=zone), st.builds(lambda second, part: second * per_second + part, _TICKS, parts)


KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    *((kind, TEXTS) for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()))),
    *(_whole(bits, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)),
    *(_whole(bits, 0, 2**bits - 1) for bits in (8, 16, 32, 64)),
    (pa.float64(), _FLOATS),
    (pa.float32(), st.one_of(st.floats(width=32), st.sampled_from([0.1, 80.1, 7.0, -0.0, 1e16]))),
    (pa.float16(), st.floats(width=16)),
    *map(_decimal, (pa.decimal128(5, 2), pa.decimal128(38, 18), pa.decimal128(10, -3), pa.decimal256(76, 30), pa.decimal32(6, 1))),
    (pa.bool_(), st.booleans()),
    (pa.date32(), _DATES),
    (pa.date64(), _DATES),
    *(_moment(unit, zone) for unit in ("s", "ms", "us") for zone in (None, "UTC", "Europe/Berlin", "-03:30")),
    (pa.time32("ms"), st.integers(0, 86_399_999)),
    (pa.time64("us"), st.integers(0, 86_399_999_999)),
    (pa.duration("us"), st.integers(-(10**15), 10**15) | st.integers(-(10**6), 87 * 10**9)),
    (pa.month_day_nano_interval(), st.tuples(*[st.integers(0, 9)] * 3)),
    (pa.binary(), st.binary(max_size=3)),
    (pa.binary_view(), st.binary(max_size=3)),
    (pa.binary(2), st.binary(min_size=2, max_size=2)),
    (pa.list_(pa.string()), st.lists(st.sampled_from(["Product", "x", " ", ""]), max_size=2)),
    (pa.struct([("a", pa.int8())]), st.fixed_dictionaries({"a": st.integers(0, 9)})),
    (pa.dictionary(pa.int8(), pa.int64()), st.integers(0, 9)),
    (pa.null(), st.none()),
]  # fmt: skip

#: What a driver or a JSON Lines file may yield.
VALUES = st.one_of(
    TEXTS,
    st.sampled_from(["\ud800", "Ray\udc00", "a@b.co\ud83d"]),
    st.integers(-(10**20), 10**20),
    st.integers(-9, 9),
    _FLOATS,
    st.decimals(),
    st.booleans(),
    _DATES,
    st.datetimes(dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=_ZONES, allow_imaginary=False),
    st.times(timezones=_ZONES),
    st.timedeltas(),
    st.timedeltas(dt.timedelta(seconds=-1), dt.timedelta(days=1, seconds=1)),
    st.binary(max_size=2),
    st.just(uuid.UUID(int=7)),
    st.lists(st.sampled_from(["Product", 1, None, "\ud800"]), max_size=2),
    st.dictionaries(st.just("a"), st.integers(), max_size=1),
)


@st.composite
def arrays(draw: st.DrawFn, rows: int, values: st.SearchStrategy[Any] | None = None) -> pa.Array:
    """A column cut out of a longer one; mostly of text, which is what most exports hold."""
    kind, usual = draw(st.sampled_from([KINDS[0]] if values is not None else KINDS))
    wanted = draw(st.lists(st.none() | (usual if values is None else values), min_size=rows + 1, max_size=rows + 1))
    return pa.array(wanted, kind)[1:]


@st.composite
def keys(draw: st.DrawFn, rows: int) -> pa.Array:
    """Few keys, so that they come again: in another spelling, or in another chunk."""
    spellings = [
        "A1",
        "a1",
        " A1 ",
        "A1\r\n",
        "7",
        "7.0",
        "007",
        "7e0",
        "İ",
        "i̇",
        "ß",
        "SS",
        "",
        " ",
        "\0",
        "#N/A",
        "x" * 65,
        "X" * 65,
    ]
    kinds = [
        (pa.string(), st.sampled_from(spellings) | WORDS),
        (pa.string(), st.integers(0, 99).map(str)),
        (pa.int64(), st.integers(0, 9)),
        (pa.float64(), st.sampled_from([7.0, 7.5, -0.0, 1e16, float("nan"), float("inf")])),
        (pa.decimal128(5, 2), st.sampled_from([Decimal("7.00"), Decimal("7.50")])),
    ]  # fmt: skip
    kind, values = draw(st.sampled_from([*kinds, *kinds, *KINDS]))
    return pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)


@dataclass(slots=True)
class Fates:
    """What became of rows: those that go no further in any order, the others in theirs."""

    settled: Counter[Outcome] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    candidates: list[object] = field(default_factory=list)

    def settle(self, settled: Settled) -> None:
        """Take a row that goes no further."""
        self.settled[settled.outcome] += 1
        if settled.outcome.error_code:
            self.rejects[repr(sorted(settled.row.items()))] += 1

    def go_on(self, candidate: Candidate) -> None:
        """Take one that does."""
        # Just what stands for "emptied" in a cell gets a blank, which Salesforce trims.
        values = {name: "\0" if value == " \0" else value for name, value in candidate.record.items()}
        record = sorted((name, type(value).__name__, value) for name, value in values.items())
        row = {name: as_text(value) for name, value in candidate.row.items()}
        self.candidates.append((candidate.key, candidate.lead_id, candidate.external_id, record, row))


def one_by_one(request: PlanSettings, columns: Sequence[str], chunks: Iterable[Chunk]) -> Fates:
    """Take in the rows of chunks as the row engine does."""
    plan, fates = _plan(request, columns), Fates()
    rows = (row for chunk in chunks for row in chunk_rows(chunk))
    for candidate in taken_in(plan, Seen(), rows, fates.settle):
        fates.go_on(candidate)
    return fates


def together(request: PlanSettings, columns: Sequence[str], chunks: Iterable[Chunk]) -> Fates:
    """Take in the chunks."""
    plan, fates = _plan(request, columns), Fates()
    with TemporaryDirectory() as folder, KeyMemory(Path(folder)) as memory:
        intake = ColumnIntake(plan.recipe, plan, memory, columns)
        for chunk in chunks:
            taken = intake.take(chunk)
            assert taken.read == len(list(chunk_rows(chunk)))
            taken.candidates.validate(full=True)
            for line in taken.plain.to_pylist():
                fates.settled[Outcome(**line)] += 1
            for settled in taken.settled:
                fates.settle(settled)
            for candidate in candidates(taken.candidates, LEAD):
                fates.go_on(candidate)
    return fates


def _plan(request: PlanSettings, columns: Sequence[str]) -> CreatePlan | StagePlan:
    return prepare(request, ground(columns, LEAD))
