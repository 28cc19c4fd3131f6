"""Columns of dates and times as cells of date and date-time fields."""

from __future__ import annotations

from functools import cache
from itertools import takewhile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.columnar.ids import bytes_of_width, strings_of_width
from airflow_provider_sfleads.columnar.texts import Mask, Texts, mask_of, none_of, trimmed, valid

_DATE = 10
_MOMENT = 19
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000}
_MILLISECONDS = 1_000
_DAY_TEXT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK_TEXT = r"[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
_TIME_TEXT = rf"{_CLOCK_TEXT}(?:\.[0-9]{{1,6}})?"
_OFFSET_TEXT = r"[+-](?:0[0-9]|1[0-3])(?::?[0-5][0-9])?"
_ZONE_TEXT = rf"(Z|{_OFFSET_TEXT})"
# Warehouses also write digits beyond microseconds, a blank before the zone, and UTC for Z: by what this becomes plain.
_RESPELT = {
    rf"^({_DAY_TEXT}{_CLOCK_TEXT}\.[0-9]{{6}})[0-9]{{1,6}}": r"\1",
    rf"^({_DAY_TEXT}{_TIME_TEXT}) ?(?:UTC|Z)$": r"\1Z",
    rf"^({_DAY_TEXT}{_TIME_TEXT}) ({_OFFSET_TEXT})$": r"\1\2",
}
_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_FEBRUARY, _DECEMBER = 2, 12
# A zone may move the first and the last day out of what a date can be.
_FIRST_YEAR, _LAST_YEAR = 2, 9998
# In seconds since 1970.
_TABLES_END, _QUARTER = 67 * 365 * 86_400, 91 * 86_400

_Numbers = npt.NDArray[np.int64]


def dates(array: pa.Array) -> Texts:
    """Cells of a date field; a date-time counts as the date in its own zone.

    :param array: values of any scalar type.
    """
    kind, types = array.type, pa.types
    if types.is_string(kind):
        return _dates_of_text(array)
    if types.is_date(kind):
        return Texts(array.cast(pa.date32()).cast(pa.string()), none_of(array))
    if types.is_timestamp(kind):
        try:
            local = pc.local_timestamp(array) if kind.tz else array
        except pa.ArrowException:
            # A zone that Arrow does not know.
            return _left(array)
        return Texts(local.cast(pa.date32(), safe=False).cast(pa.string()), _beyond_tables(array))
    return _left(array)


def datetimes(array: pa.Array) -> Texts:
    """Cells of a date-time field: UTC, to the millisecond; without a zone it is UTC already.

    :param array: values of any scalar type.
    """
    kind, types = array.type, pa.types
    if types.is_string(kind):
        return _moments_of_text(array)
    if types.is_date(kind):
        day = array.cast(pa.date32()).cast(pa.string())
        return Texts(pc.binary_join_element_wise(day, "T00:00:00.000Z", ""), none_of(array))
    if types.is_timestamp(kind):
        return Texts(_written(array), none_of(array))
    return _left(array)


def _left(array: pa.Array) -> Texts:
    return Texts(pa.nulls(len(array), pa.string()), valid(array))


def _beyond_tables(moments: pa.Array) -> Mask:
    """Which timestamps' clock Arrow does not know: after the last change that a zone's table lists, it sees no more."""
    kind = moments.type
    if not kind.tz:
        return none_of(moments)
    return mask_of(pc.greater_equal(moments.cast(pa.int64()), _listed_until(kind.tz) * _PER_SECOND[kind.unit]))


@cache
def _listed_until(zone: str) -> int:
    """The second until which Arrow's clock of a zone is Python's: in 2036, or long before where tables are slim."""
    asked = pa.array(range(0, _TABLES_END, _QUARTER), pa.timestamp("s", tz=zone))
    clocks = zip(asked.to_pylist(), pc.local_timestamp(asked).to_pylist(), strict=True)
    alike = takewhile(lambda clock: clock[0].replace(tzinfo=None) == clock[1], clocks)
    return (sum(1 for _ in alike) - 1) * _QUARTER


def _written(moments: pa.Array) -> pa.Array:
    """Timestamps as date-times."""
    per_second = _PER_SECOND[moments.type.unit]
    since = pc.fill_null(moments.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if per_second > _MILLISECONDS:
        since = since // (per_second // _MILLISECONDS)
    else:
        since = since * (_MILLISECONDS // per_second)
    text = pa.array(since).cast(pa.timestamp("ms")).cast(pa.string())
    written = np.empty((len(text), 24), dtype=np.uint8)
    written[:, :23] = bytes_of_width(text, 23)
    written[:, 10], written[:, 23] = ord("T"), ord("Z")
    cells = strings_of_width(written)
    return cells if not moments.null_count else pc.if_else(moments.is_valid(), cells, None)


def _dates_of_text(array: pa.Array) -> Texts:
    text, there = _trimmed(array)
    with_time = mask_of(pc.match_substring_regex(text, f"^{_DAY_TEXT}{_TIME_TEXT}({_ZONE_TEXT})?$"))
    sure = mask_of(pc.match_substring_regex(text, f"^{_DAY_TEXT}$"))
    _check(text, sure, with_time)
    if with_time.any():
        days = pc.utf8_slice_codeunits(text.filter(pa.array(with_time)), 0, _DATE)
        text = pc.replace_with_mask(text, pa.array(with_time), days)
    return Texts(text, there & ~(sure | with_time))


def _moments_of_text(array: pa.Array) -> Texts:
    text, there = _trimmed(array)
    days = mask_of(pc.match_substring_regex(text, f"^{_DAY_TEXT}$"))
    zoned = mask_of(pc.match_substring_regex(text, f"^{_DAY_TEXT}{_TIME_TEXT}{_ZONE_TEXT}$"))
    bare = mask_of(pc.match_substring_regex(text, f"^{_DAY_TEXT}{_TIME_TEXT}$"))
    _check(text, days, zoned)
    _check(text, none_of(text), bare)
    cells = text
    for some, kind in (
        (days, pa.timestamp("us")),
        (bare, pa.timestamp("us")),
        (zoned, pa.timestamp("us", tz="UTC")),
    ):
        if some.any():
            part = pa.array(some)
            cells = pc.replace_with_mask(cells, part, _written(text.filter(part).cast(kind)))
    return Texts(cells, there & ~(days | zoned | bare))


def _trimmed(array: pa.Array) -> tuple[pa.Array, Mask]:
    """Text less the blanks around it, null where there is nothing; and where there is something."""
    text = _respelt(trimmed(array))
    blank = mask_of(pc.equal(text, ""))
    if blank.any():
        text = pc.if_else(pa.array(blank), None, text)
    return text, valid(text)


def _respelt(text: pa.Array) -> pa.Array:
    """Text with the date-times that warehouses write in the one spelling that Arrow reads."""
    plain = pc.match_substring_regex(text, f"^{_DAY_TEXT}({_TIME_TEXT}{_ZONE_TEXT}?)?$")
    if pc.all(plain).as_py() is not False:
        return text
    for written, spelling in _RESPELT.items():
        text = pc.replace_substring_regex(text, written, spelling)
    return text


def _check(text: pa.Array, days: Mask, moments: Mask) -> None:
    """Take what is shaped like a day or a moment and is none (30 February, 24:00) out of the masks."""
    for some, width in ((days, _DATE), (moments, _MOMENT)):
        if some.any():
            heads = pc.utf8_slice_codeunits(text.filter(pa.array(some)), 0, width)
            rows = bytes_of_width(heads, width)
            some[some] = _are_days(rows) & (width == _DATE or _are_times(rows))


def _are_days(rows: npt.NDArray[np.uint8]) -> Mask:
    year, month, day = (_number(rows, start, stop) for start, stop in ((0, 4), (5, 7), (8, 10)))
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    last = _DAYS[np.minimum(month, _DECEMBER)] + (leap & (month == _FEBRUARY))
    years = (year >= _FIRST_YEAR) & (year <= _LAST_YEAR)
    is_day: Mask = years & (month >= 1) & (month <= _DECEMBER) & (day >= 1) & (day <= last)
    return is_day


def _are_times(rows: npt.NDArray[np.uint8]) -> Mask:
    hour, minute, second = (_number(rows, start, start + 2) for start in (11, 14, 17))
    is_time: Mask = (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004 - a day's
    return is_time


def _number(rows: npt.NDArray[np.uint8], start: int, stop: int) -> _Numbers:
    """The number that some digits of each row are."""
    value = np.zeros(len(rows), dtype=np.int64)
    for place in range(start, stop):
        value = value * 10 + (rows[:, place] - np.uint8(ord("0")))
    return value
