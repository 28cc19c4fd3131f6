"""Values of an export become what a field takes, or a refusal; never an exception."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import simplejson
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.keys import key_text
from airflow_provider_sfleads.core.text import cell_text, is_null, number_of, text_of
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.wire import FieldValue
from tests.core.fields import TYPES, any_field

LEAD = "00Q5g00000AbCdEEAV"
EAST = timezone(timedelta(hours=5, minutes=30))
BAD_TYPE = "INVALID_TYPE_ON_FIELD_IN_RECORD"
OUT_OF_RANGE = "NUMBER_OUTSIDE_VALID_RANGE"


class NAType:
    """Behaves as pandas.NA does."""

    def __eq__(self, other: object) -> NAType:  # type: ignore[override]
        return self

    def __ne__(self, other: object) -> NAType:  # type: ignore[override]
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def info(kind: str, **properties: object) -> FieldInfo:
    """Return a field of that type, named F."""
    return FieldInfo(**({"name": "F", "type": kind, "length": 255 if kind == "string" else 0} | properties))  # type: ignore[arg-type]


def code(result: FieldValue | Refusal) -> str:
    """Return the code of what must be a refusal."""
    assert isinstance(result, Refusal)
    assert result.fields == ("F",)
    return result.code


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "value",
    [None, "", "   ", "\r\n\t ", float("nan"), Decimal("NaN"), NAType(), np.float32("nan"), np.datetime64("NaT", "s")],
    ids=["None", "empty", "blanks", "line ends", "nan", "Decimal NaN", "pandas.NA", "numpy nan", "NaT"],
)
def test_nothing_is_null_in_every_type(kind: str, value: object) -> None:
    """Missing values of every origin are nothing, whatever the field's type."""
    assert convert(info(kind), value) is None


@pytest.mark.parametrize(
    "value", [0, False, Decimal(0), "0", "nan", "null", "\u0085", "\u2028", "\u00a0", [], b""], ids=repr
)
def test_what_looks_like_nothing_is_something(value: object) -> None:
    """Zero, false, words and what Salesforce does not trim are values."""
    assert not is_null(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (15.0, "15"),
        (-0.0, "0"),
        (1e22, "10000000000000000000000"),
        (1.5, "1.5"),
        (np.float64(15.0), "15"),
        (np.int64(7), "7"),
        (Decimal("15.00"), "15"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.5"), "0.5"),
        (Decimal("1E-7"), "0.0000001"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00+00:00"),
        (time(3, 4), "03:04:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("a\r\nb\rc\nd\n\re", "a\nb\nc\nd\n\ne"),
        (" kept ", " kept "),
        ("\u2028\u0085 \u00a0", "\u2028\u0085 \u00a0"),
        ("名前 😀 é", "名前 😀 é"),
        ('"quoted", \\ and\ttab', '"quoted", \\ and\ttab'),
        ("#N/A", "#N/A"),
    ],
    ids=repr,
)
def test_text(value: object, text: str) -> None:
    """Values become text as people write them, and text stays as it is but for its line ends."""
    assert convert(info("string"), value) == text


@pytest.mark.parametrize("value", [b"x", bytearray(b"x"), [1], (1,), {1}, {"a": 1}], ids=repr)
@pytest.mark.parametrize("kind", ["string", "textarea", "email", "picklist"])
def test_what_is_no_text_is_refused(value: object, kind: str) -> None:
    """Bytes and nested values do not become the text of their Python form."""
    assert code(convert(info(kind), value)) == BAD_TYPE


@pytest.mark.parametrize(
    "text", ["x" * 255, " " + "x" * 255 + "\r\n", "é" * 255, "😀" * 255, "x" * 254 + "\r\n" + " "], ids=repr
)
def test_text_that_just_fits(text: str) -> None:
    """A field takes as many characters as its length says, not counting what Salesforce trims."""
    assert convert(info("string"), text) == text.replace("\r\n", "\n")


@pytest.mark.parametrize("kind", ["string", "textarea", "phone", "url", "email", "picklist", "multipicklist"])
def test_text_that_does_not_fit(kind: str) -> None:
    """One character more is refused as Salesforce would, and the message repeats no value."""
    refusal = convert(info(kind, length=255), "x" * 256)
    assert code(refusal) == "STRING_TOO_LONG"
    assert isinstance(refusal, Refusal)
    assert "256" in refusal.message
    assert "xx" not in refusal.message


@pytest.mark.parametrize("kind", ["string", "textarea", "phone", "encryptedstring"])
def test_truncate_cuts_text(kind: str) -> None:
    """With truncate, text is cut to the field's length, counted after trimming and after line ends are LF."""
    assert convert(info(kind, length=4), "  ab\r\ncdef ", truncate=True) == "ab\nc"
    assert convert(info(kind, length=4), "abcd", truncate=True) == "abcd"
    assert convert(info(kind, length=2), "😀😀😀", truncate=True) == "😀😀"


@pytest.mark.parametrize(
    ("kind", "value"), [("email", "a@b.example.org"), ("url", "https://x.example"), ("picklist", "Long choice")]
)
def test_truncate_leaves_what_is_useless_when_cut(kind: str, value: str) -> None:
    """An address or a choice is never cut."""
    assert code(convert(info(kind, length=5), value, truncate=True)) == "STRING_TOO_LONG"


@pytest.mark.parametrize(
    "email",
    ["a@b.co", "first.last+tag@sub.example.co.uk", "o'neil@example.com", "a@b.x", " a@b.co ", "ü@exämple.de", "A@B.CO"],
)
def test_emails(email: str) -> None:
    """What may be an address goes through unchanged."""
    assert convert(info("email", length=80), email) == email


@pytest.mark.parametrize(
    "email",
    ["nope", "a@b", "@b.co", "a@", "a@@b.co", "a b@c.co", "a@b..co", "a@.co", "a@b.co.", "a@b.co,c@d.co", "a@b.co;x"],
)
def test_what_is_no_email(email: str) -> None:
    """What no mail system takes is refused with Salesforce's code."""
    assert code(convert(info("email", length=80), email)) == "INVALID_EMAIL_ADDRESS"


@pytest.mark.parametrize(
    "value", [True, 1, 1.0, Decimal("1.00"), "true", " TRUE ", "Yes", "y", "t", "1", np.True_], ids=repr
)
def test_true(value: object) -> None:
    """The usual words for yes."""
    assert convert(info("boolean"), value) is True


@pytest.mark.parametrize("value", [False, 0, 0.0, Decimal(0), "false", "No", "n", "F", "0", np.False_], ids=repr)
def test_false(value: object) -> None:
    """The usual words for no."""
    assert convert(info("boolean"), value) is False


@pytest.mark.parametrize("value", [2, -1, "maybe", "on off", b"true", [True], 0.5], ids=repr)
def test_neither_true_nor_false(value: object) -> None:
    """Anything else is no boolean."""
    assert code(convert(info("boolean"), value)) == BAD_TYPE


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        (-7, -7),
        ("7", 7),
        (" 7 ", 7),
        ("7.0", 7),
        (7.0, 7),
        (Decimal("7.00"), 7),
        ("1e3", 1000),
        (np.int64(7), 7),
    ],
    ids=repr,
)
def test_integers(value: object, number: int) -> None:
    """Whole numbers of every spelling become integers."""
    result = convert(info("int"), value)
    assert result == number
    assert type(result) is int


def test_integers_have_digits() -> None:
    """As many digits as describe says."""
    assert convert(info("int", digits=8), "99999999") == 99999999
    assert code(convert(info("int", digits=8), "100000000")) == OUT_OF_RANGE
    assert code(convert(info("int", digits=8), -100000000)) == OUT_OF_RANGE


@pytest.mark.parametrize("kind", ["int", "double", "currency", "percent"])
@pytest.mark.parametrize(
    "value", ["seven", "7 kg", "1,5", True, "inf", float("inf"), Decimal("-Infinity"), b"7", [7]], ids=repr
)
def test_what_is_no_number(kind: str, value: object) -> None:
    """Words, booleans and infinities are no numbers."""
    assert code(convert(info(kind), value)) == BAD_TYPE


def test_a_fraction_is_no_integer() -> None:
    """An integer field does not round."""
    assert code(convert(info("int"), 7.5)) == BAD_TYPE


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12.50", "12.50"),
        (0.1, "0.1"),
        (12, "12"),
        (Decimal("-1E+3"), "-1000"),
        ("1e-3", "0.001"),
        (np.float32(0.5), "0.5"),
    ],
    ids=repr,
)
def test_decimals(value: object, number: str) -> None:
    """Decimals stay exact."""
    result = convert(info("currency", precision=18, scale=2), value)
    assert isinstance(result, Decimal)
    assert result == Decimal(number)


def test_decimals_have_a_range() -> None:
    """Digits before the point are limited, those behind it are Salesforce's to round."""
    field = info("double", precision=5, scale=2)
    assert convert(field, "999.99") == Decimal("999.99")
    assert convert(field, "0.123456") == Decimal("0.123456")
    assert code(convert(field, "1000")) == OUT_OF_RANGE
    assert code(convert(field, "-1e3")) == OUT_OF_RANGE
    assert convert(field, 0) == 0


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (date(2026, 2, 28), "2026-02-28"),
        (datetime(2026, 2, 28, 23, 59), "2026-02-28"),  # noqa: DTZ001 - exports have such
        (datetime(2026, 2, 28, 23, 59, tzinfo=EAST), "2026-02-28"),
        ("2026-02-28", "2026-02-28"),
        (" 2026-02-28 ", "2026-02-28"),
        ("2026-02-28T23:59:00-08:00", "2026-02-28"),
        ("2026-02-28 23:59:00", "2026-02-28"),
    ],
    ids=repr,
)
def test_dates(value: object, day: str) -> None:
    """A date-time counts as the date in its own zone."""
    assert convert(info("date"), value) == day


@pytest.mark.parametrize("kind", ["date", "datetime"])
@pytest.mark.parametrize(
    "value",
    ["28.02.2026", "2026-02-30", "yesterday", 20260228, 1.5, b"2026-02-28", "2026-13-01", "1712031500000",
     1712031500000, "17120315000", "2026-03-05+02:00", "2026-03-05Z", "20000-01-01", "0044-03-15 BC", "infinity",
     "0000-00-00"],
    ids=repr,
)  # fmt: skip
def test_what_is_no_date(kind: str, value: object) -> None:
    """Other spellings are refused, not guessed."""
    assert code(convert(info(kind), value)) == BAD_TYPE


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (datetime(2026, 2, 28, 12, 0, 1, 999_999), "2026-02-28T12:00:01.999Z"),  # noqa: DTZ001
        (datetime(2026, 3, 1, 1, 0, tzinfo=EAST), "2026-02-28T19:30:00.000Z"),
        ("2026-02-28T12:00:00Z", "2026-02-28T12:00:00.000Z"),
        ("2026-02-28T12:00:00+0100", "2026-02-28T11:00:00.000Z"),
        ("2026-02-28 12:00", "2026-02-28T12:00:00.000Z"),
        ("2026-02-28 12:00:00.000 -0800", "2026-02-28T20:00:00.000Z"),
        ("2026-02-28 12:00:00.123456 UTC", "2026-02-28T12:00:00.123Z"),
        ("2026-02-28", "2026-02-28T00:00:00.000Z"),
        (date(2026, 2, 28), "2026-02-28T00:00:00.000Z"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-31T23:59:59.999Z"),
    ],
    ids=repr,
)
def test_datetimes(value: object, moment: str) -> None:
    """A moment goes out in UTC; one without zone is in UTC already."""
    assert convert(info("datetime"), value) == moment


@pytest.mark.parametrize("value", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"], ids=repr)
def test_moments_beyond_the_calendar(value: str) -> None:
    """A moment that is in no year from 1 to 9999 of UTC is refused."""
    assert code(convert(info("datetime"), value)) == OUT_OF_RANGE


def test_times() -> None:
    """A time of day has milliseconds and a Z."""
    assert convert(info("time"), time(12, 30)) == "12:30:00.000Z"
    assert convert(info("time"), "12:30:01.5") == "12:30:01.500Z"
    assert code(convert(info("time"), "noon")) == BAD_TYPE


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("9:00:00", "09:00:00.000Z"),
        (" 9:05 ", "09:05:00.000Z"),
        (timedelta(hours=9), "09:00:00.000Z"),
        (timedelta(0), "00:00:00.000Z"),
        (timedelta(hours=23, minutes=59, seconds=59, milliseconds=999, microseconds=999), "23:59:59.999Z"),
        (time(9, tzinfo=UTC), "09:00:00.000Z"),
        ("9:00:00+00:00", "09:00:00.000Z"),
        ("09:00:00Z", "09:00:00.000Z"),
        *((value, None) for value in (timedelta(days=1), timedelta(microseconds=-1), "24:00", "24:00:00", "-1:00:00")),
        *((value, None) for value in (time(9, tzinfo=EAST), "09:00:00+02:00", "9:00:00-05:30", "1 day, 9:00:00")),
        *((value, None) for value in (time(9, tzinfo=ZoneInfo("Europe/Berlin")), "26:00:00", 9, datetime(2026, 1, 2))),  # noqa: DTZ001
        *((value, None) for value in (12, 1230, 12.0, "12", "1230", "123456", Decimal(12))),
    ],
    ids=repr,
)
def test_times_of_drivers(value: object, sent: str | None) -> None:
    """A span within a day is a time of day; one beyond it is none, nor can a time be moved to UTC without its date."""
    found = convert(info("time"), value)
    assert code(found) == BAD_TYPE if sent is None else found == sent


@given(span=st.timedeltas())
def test_spans_as_text(span: timedelta) -> None:
    """Rejects, keys and text fields write a span so that it reads back as the same value, and as a time's text."""
    text = text_of(span)
    assert cell_text(span) == text
    sign, clock = (-1, text[1:]) if text.startswith("-") else (1, text)
    hours, minutes, seconds = clock.split(":")
    whole, _, fraction = seconds.partition(".")
    found = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(whole), microseconds=int(fraction or 0))
    assert sign * found == span
    assert convert(info("time"), text) == convert(info("time"), span) or isinstance(
        convert(info("time"), span), Refusal
    )


@given(moment=st.times())
def test_a_span_is_the_time_that_it_reaches(moment: time) -> None:
    """Whether a driver gives a time or a span, it is one value: of a time field, of a text field, and as a key."""
    span = datetime.combine(date.min, moment) - datetime.combine(date.min, time())
    assert convert(info("time"), span) == convert(info("time"), moment)
    assert text_of(span) == text_of(moment)
    assert key_text(span) == key_text(moment)


CHOICES = ("Hot", "Warm", "Very Cold")


@pytest.mark.parametrize(
    ("value", "sent"), [("Hot", "Hot"), ("hot", "Hot"), (" WARM ", "Warm"), ("vERY cold\n", "Very Cold")]
)
@pytest.mark.parametrize("kind", ["picklist", "multipicklist"])
@pytest.mark.parametrize("restricted", [True, False])
def test_picklists(value: str, sent: str, kind: str, restricted: bool) -> None:  # noqa: FBT001
    """A picklist takes its values in any letter case, and they are sent as the org spells them."""
    assert convert(info(kind, restricted_picklist=restricted, picklist_values=CHOICES), value) == sent


def test_spellings_of_a_picklist() -> None:
    """The exact spelling goes before another case, an active value before an inactive one; others stay as they are."""
    field = info("picklist", picklist_values=("Web", "WEB", "Ad"), inactive_values=("web", "AD", "Fair"))
    sent = {"web": "WEB", "Web": "Web", "WEB": "WEB", "ad": "Ad", "AD": "Ad", "FAIR": "Fair", "Radio": "Radio"}
    assert {value: convert(field, value) for value in sent} == sent


def test_an_inactive_value_is_none_of_a_restricted_picklist() -> None:
    """In whatever letter case."""
    field = info("picklist", restricted_picklist=True, picklist_values=CHOICES, inactive_values=("Tepid",))
    assert {code(convert(field, value)) for value in ("Tepid", "tepid")} == {"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"}


@pytest.mark.parametrize("kind", ["string", "textarea", "combobox", "email"])
def test_text_keeps_its_letter_case(kind: str) -> None:
    """A field that is no picklist stores what is sent."""
    field = info(kind, picklist_values=("HOT@a.co",))
    assert convert(field, "hot@a.co") == "hot@a.co"


@pytest.mark.parametrize("kind", ["picklist", "multipicklist"])
def test_what_a_restricted_picklist_refuses(kind: str) -> None:
    """Any other value is refused; an unrestricted picklist stores it."""
    restricted = info(kind, restricted_picklist=True, picklist_values=CHOICES)
    assert code(convert(restricted, "Tepid")) == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert convert(info(kind, picklist_values=CHOICES), "Tepid") == "Tepid"


@pytest.mark.parametrize("value", ["Hot;Warm", ["Hot", "Warm"], ("Hot", "Warm")], ids=repr)
def test_multipicklists(value: object) -> None:
    """Several choices come as text with semicolons or as a list."""
    field = info("multipicklist", length=100, restricted_picklist=True, picklist_values=CHOICES)
    assert convert(field, value) == "Hot;Warm"
    assert code(convert(field, "Hot;Tepid")) == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"


def test_choices_that_differ_in_letter_case_are_one() -> None:
    """Each choice is sent once, in the order in which they came."""
    field = info("multipicklist", length=100, picklist_values=CHOICES)
    assert convert(field, "warm;HOT;Warm;tepid;Tepid") == "Warm;Hot;Tepid"


@pytest.mark.parametrize("value", [LEAD, LEAD[:15], f" {LEAD}\n", LEAD.lower(), LEAD.upper()], ids=repr)
@pytest.mark.parametrize("kind", ["reference", "id"])
def test_ids(kind: str, value: str) -> None:
    """Ids of either length go out with 18 characters."""
    assert convert(info(kind), value) == LEAD


@pytest.mark.parametrize(
    "value", ["00Q", LEAD + "x", LEAD[:17], "00Q5g00000AbCdEEAW", 15, b"00Q5g00000AbCdE", "é" * 15], ids=repr
)
def test_what_is_no_id(value: object) -> None:
    """Anything else is a malformed id."""
    assert code(convert(info("reference"), value)) == "MALFORMED_ID"


def test_an_unknown_type_is_taken_as_text() -> None:
    """A type that Salesforce adds one day is sent as text, and Salesforce judges it."""
    assert convert(info("hologram"), 15.0) == "15"


@pytest.mark.parametrize(
    ("value", "number"), [("1", 1), (1.5, "1.5"), (True, None), ("x", None), (None, None), ("", None), ("NaN", None)]
)
def test_numbers(value: object, number: object) -> None:
    """A finite number or nothing."""
    assert number_of(value) == (None if number is None else Decimal(str(number)))


# Text that JSON and UTF-8 can carry; exports mend the rest.
texts = st.text(st.characters(codec="utf-8"), max_size=30)
moments = st.datetimes(timezones=st.sampled_from([None, UTC, EAST, timezone(timedelta(hours=-12))]))
# Exponents within what other Decimals in exports have; the absurd ones have a test of their own.
numbers = st.decimals(-(10**30), 10**30) | st.sampled_from([Decimal("NaN"), Decimal("Infinity"), Decimal("-0")])
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), numbers, texts, moments,
    st.dates(), st.times(), st.timedeltas(), st.binary(max_size=8), st.uuids(), st.complex_numbers(),
)  # fmt: skip
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(texts, scalars, max_size=2))


@settings(max_examples=250, deadline=None)
@given(field=any_field(CHOICES), value=values, truncate=st.booleans())
def test_every_value_becomes_json_or_a_refusal(field: FieldInfo, value: object, truncate: bool) -> None:  # noqa: FBT001
    """Whatever an export yields, the answer is a value that JSON carries or a refusal with the field's name."""
    result = convert(field, value, truncate=truncate)
    if isinstance(result, Refusal):
        assert result.code
        assert result.fields == ("F",)
        return
    assert result is None or type(result) in (str, bool, int, Decimal)
    wire = simplejson.dumps(result, use_decimal=True, allow_nan=False, ensure_ascii=False)
    assert json.loads(wire.encode()) == (float(result) if isinstance(result, Decimal) else result)


@settings(max_examples=100, deadline=None)
@given(text=texts)
def test_text_goes_through_but_for_line_ends(text: str) -> None:
    """Nothing but CR and CRLF changes in text, and nothing but blank text is dropped."""
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert convert(info("textarea"), text) == (expected if text.strip(" \t\r\n") else None)


@settings(max_examples=100, deadline=None)
@given(text=texts, length=st.integers(1, 10))
def test_truncated_text_fits(text: str, length: int) -> None:
    """Truncated text is a beginning of the trimmed text, and fits."""
    field = info("string", length=length)
    result = convert(field, text, truncate=True)
    trimmed = text_of(text).strip(" \t\r\n")
    assert result == (trimmed[:length] or None)
    assert convert(field, result) in (result, None)


@settings(max_examples=100, deadline=None)
@given(moment=st.datetimes(min_value=datetime(1700, 1, 1), timezones=st.just(EAST)))  # noqa: DTZ001 - zone added
def test_a_moment_stays_the_moment(moment: datetime) -> None:
    """What is sent is the same instant, to the millisecond."""
    sent = convert(info("datetime"), moment)
    assert isinstance(sent, str)
    assert timedelta(0) <= moment - datetime.fromisoformat(sent) < timedelta(milliseconds=1)


def test_long_decimals_keep_their_digits() -> None:
    """NUMERIC(38,0) values do not lose digits as text."""
    assert convert(info("string"), Decimal(12345678901234567890123456789012345678)) == (
        "12345678901234567890123456789012345678"
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int", "1e5000"),
        ("int", Decimal("1E+5000")),
        ("boolean", Decimal("1E+1000001")),
        ("reference", Decimal("1E+1000001")),
    ],
)
def test_absurd_exponents_are_refused(kind: str, value: object) -> None:
    """A number with an absurd exponent rejects its row; it does not end the run."""
    assert code(convert(info(kind, length=255), value))


@pytest.mark.parametrize("kind", ["string", "picklist"])
def test_absurd_exponents_stay_short(kind: str) -> None:
    """As text such a number goes out as it is written, and is not written out."""
    assert convert(info(kind, length=255), Decimal("1E+1000001")) == "1E+1000001"


def test_years_have_four_digits() -> None:
    """A year before 1000 is written with four digits."""
    assert convert(info("datetime"), "0999-01-01T00:00:00Z") == "0999-01-01T00:00:00.000Z"


def test_a_signalling_nan_is_nothing() -> None:
    """Decimal's other NaN is nothing, too."""
    assert convert(info("double"), Decimal("sNaN")) is None


def test_half_a_surrogate_pair_is_refused() -> None:
    """Text that UTF-8 cannot carry rejects its row."""
    assert code(convert(info("string"), "broken \ud83d"))


@pytest.mark.parametrize("value", [memoryview(b"x"), frozenset({1}), np.array([1, 2])], ids=["buffer", "set", "array"])
def test_other_containers_are_no_text(value: object) -> None:
    """Other containers are refused like lists, not sent as "<memory at 0x...>"."""
    assert code(convert(info("string"), value)) == BAD_TYPE


@pytest.mark.parametrize(("value", "sent"), [(["Hot", None], "Hot"), ([], None), (["Hot", ""], "Hot")])
def test_gaps_in_a_multipicklist(value: object, sent: str | None) -> None:
    """What is nothing within a list is no choice, and a list of nothing is nothing."""
    field = info("multipicklist", length=100, restricted_picklist=True, picklist_values=CHOICES)
    assert convert(field, value) == sent
