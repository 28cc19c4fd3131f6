"""What the Run-As user has to be allowed."""

from __future__ import annotations

import pytest

from airflow_provider_sfleads.core.mapping import FieldMap, Purpose, bind
from airflow_provider_sfleads.exceptions import LeadAccessError, MappingError, ObjectAccessError, SalesforceLeadsError
from airflow_provider_sfleads.salesforce.describe import (
    CONTACT,
    Needs,
    SObjectInfo,
    check_writable,
    in_one,
    parse_describe,
)
from airflow_provider_sfleads.salesforce.wire import Reply

FIELD = {"name": "Phone", "type": "phone", "length": 40, "nillable": True}


def lead(*, creates: bool = True, updates: bool = True, **field: bool) -> SObjectInfo:
    """Lead, with one field that is as writable as the object, if nothing else is said."""
    flags = {"createable": creates, "updateable": updates}
    return parse_describe({"name": "Lead", **flags, "fields": [FIELD | flags | field]})


@pytest.mark.parametrize(
    ("needs", "names"),
    [
        (Needs(creates=True), ["Create"]),
        (Needs(updates=True), ["Edit"]),
        (Needs(creates=True, updates=True), ["Create", "Edit"]),
        (Needs(contacts=True), []),
    ],
    ids=str,
)
def test_what_may_not_be_done_to_leads_is_named(needs: Needs, names: list[str]) -> None:
    """Only what is needed; a describe that does not say is no refusal."""
    check_writable(lead(), needs, conn_id="sf")
    check_writable(parse_describe({"name": "Lead", "fields": []}), needs, conn_id="sf")
    if not names:
        check_writable(lead(creates=False, updates=False), needs, conn_id="sf")
        return
    with pytest.raises(LeadAccessError) as caught:
        check_writable(lead(creates=False, updates=False), needs, conn_id="sf")
    assert f"with {' and '.join(names)} on Lead" in str(caught.value)
    assert not caught.value.transient


def test_no_field_is_to_blame_for_the_object() -> None:
    """A field of leads that may not be created is read-only for that alone."""
    phone = FieldMap(columns={"p": "Phone"})
    both = Purpose(creates=True, updates=True)

    assert not isinstance(bind(phone, lead(creates=False), both), tuple)
    (said,) = bind(phone, lead(creates=False, updateable=False), both)  # type: ignore[misc]
    assert "read-only on update" in str(said)
    assert "no Edit access" in str(said)


def test_what_describe_does_not_show_is_not_asked_for() -> None:
    """In any letter case, and each field once."""
    names = ("phone", "ConvertedContactId", "phone")

    assert lead().visible(names) == ("phone",)
    assert lead().unseen(names) == ("ConvertedContactId",)


def test_all_problems_are_one_error() -> None:
    """One alone stays what it is."""
    refusal = Reply(
        status=400, body=[{"errorCode": "INVALID_TYPE", "message": "sObject type 'Contact' is not supported."}]
    )
    with pytest.raises(ObjectAccessError) as caught:
        CONTACT.check(refusal, conn_id="sf")
    mapping = MappingError(("a is missing", "b is read-only"))
    problems: list[SalesforceLeadsError] = [caught.value, mapping]
    whole = in_one(problems, conn_id="sf")

    assert in_one([mapping], conn_id="sf") is mapping
    assert isinstance(whole, ObjectAccessError)
    assert (whole.status, whole.codes, whole.transient) == (400, ("INVALID_TYPE",), False)
    assert str(whole).splitlines()[1:] == [f"  - {said}" for said in (caught.value, *mapping.problems)]
