from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.salesforce.ids import checksum, lead_id, to_18

IDS = st.from_regex(r"[a-zA-Z0-9]{15}", fullmatch=True)


@pytest.mark.parametrize(("short", "tail"), [("001A0000006Vm9r", "IAC"), ("00D5g00000AbCdE", "EAV")])
def test_known_check_characters(short: str, tail: str) -> None:
    """Ids out of Salesforce's documentation get the check characters that stand there."""
    assert checksum(short) == tail
    assert to_18(short) == to_18(short + tail) == short + tail


@given(IDS)
def test_case_is_restored_from_the_check_characters(short: str) -> None:
    """An id that went through a case-insensitive store comes back as it was."""
    full = to_18(short)
    assert full is not None
    assert to_18(full.lower()) == to_18(full.upper()) == full


@given(IDS.filter(lambda text: text.swapcase() != text))
def test_a_mixed_up_case_is_no_id(short: str) -> None:
    """Case that contradicts the check characters is a typing error, unless all case is lost."""
    full = to_18(short) or ""
    wrong = short.swapcase() + full[15:]
    if wrong[:15] not in (wrong[:15].lower(), wrong[:15].upper()):
        assert to_18(wrong) is None


@given(st.text(max_size=20))
def test_any_text_is_an_id_of_18_characters_or_none(text: str) -> None:
    """Whatever passes for an id has 18 characters, and passes again unchanged."""
    full = to_18(text)
    if full is not None:
        assert len(full) == 18
        assert to_18(full) == full


@pytest.mark.parametrize(
    "text", ["", "00Q", "00Q5g00000AbCdEEA", "00Q5g00000AbCd-", "00Q5g00000AbCdE\n", "00Q5g00000AbCdEZZZ"]
)
def test_what_is_no_id(text: str) -> None:
    """Wrong lengths, characters and check characters are no ids."""
    assert to_18(text) is None


def test_a_lead_id_is_lengthened() -> None:
    """15 characters are as good as 18."""
    assert lead_id("00Q5g00000AbCdE") == "00Q5g00000AbCdEEAV"


@pytest.mark.parametrize("text", ["", "x", "0035g00000AbCdE"])
def test_what_is_no_lead_id(text: str) -> None:
    """Neither what is no id at all, nor a contact's."""
    assert lead_id(text) is None
