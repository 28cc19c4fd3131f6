"""Fields of any type, as describe may tell of them."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import strategies as st

from airflow_provider_sfleads.salesforce.describe import FieldInfo

TYPES = (
    *("string", "textarea", "email", "phone", "url", "picklist", "multipicklist", "combobox", "encryptedstring"),
    *("boolean", "int", "long", "double", "currency", "percent", "date", "datetime", "time", "reference", "id"),
)


def any_field(choices: Collection[str]) -> st.SearchStrategy[FieldInfo]:
    """Draw a field of any type, also one that nobody knows.

    :param choices: the values of its picklist.
    """
    return st.builds(
        FieldInfo,
        name=st.just("F"),
        type=st.sampled_from([*TYPES, "anyType"]),
        length=st.sampled_from([0, 1, 18, 255]),
        precision=st.sampled_from([0, 5, 18]),
        scale=st.sampled_from([0, 2]),
        digits=st.sampled_from([0, 8]),
        restricted_picklist=st.booleans(),
        picklist_values=st.just(choices),
    )
