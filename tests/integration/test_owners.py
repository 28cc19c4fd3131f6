"""A mapped owner, and the assignment rule that would overwrite it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator.ids import ACTIVE_RULE_ID, SALES_USER_ID
from airflow_provider_sfleads.exceptions import MappingError
from tests.integration.support import (
    FIELDS,
    Rows,
    by_external_id,
    creating,
    leads,
    moving,
    no_retry,
    people,
    run,
    writes,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

HOW: dict[str, dict[str, Any]] = {
    "create": {"fields": FIELDS},
    "update": {"fields": FIELDS, "existing": "update"},
    "stage": {"fields": {}},
}
MAPPED: dict[str, dict[str, Any]] = {
    "column": {"fields": {"owner": "ownerID"}},
    "constant": {"constants": {"OwnerId": SALES_USER_ID}},
}


def operator(how: str, rows: Any, folder: Path, mapped: dict[str, Any], **more: Any) -> Any:  # noqa: ANN401
    """One that maps an owner."""
    given = HOW[how] | {"constants": mapped.get("constants"), **more}
    given["fields"] = HOW[how]["fields"] | mapped.get("fields", {})
    return (moving if how == "stage" else creating)(rows, folder, **given)


@pytest.mark.parametrize("more", [{}, {"api": "bulk"}, {"dry_run": True}, {"assignment_rule": ACTIVE_RULE_ID}], ids=str)
@pytest.mark.parametrize("mapped", MAPPED)
@pytest.mark.parametrize("how", HOW)
def test_an_owner_that_a_rule_would_overwrite_is_refused(
    emulator: EmulatorServer, tmp_path: Path, how: str, mapped: str, more: dict[str, Any]
) -> None:
    """For good, before a row is read or anything is sent, with the two ways out."""
    read: list[int] = []
    rows = Rows(people(3, owner=SALES_USER_ID), before=read.append)
    ran = run(operator(how, rows, tmp_path, MAPPED[mapped], **more))
    assert no_retry(ran.error)
    assert ran.error is not None
    assert isinstance(ran.error, MappingError)
    for words in ("OwnerId", "assignment_rule=None", "leave OwnerId out"):
        assert words in str(ran.error)
    assert (read, writes(emulator), emulator.jobs()) == ([], [], [])


@pytest.mark.parametrize("api", ["collections", "bulk"])
@pytest.mark.parametrize("mapped", MAPPED)
@pytest.mark.parametrize("how", HOW)
def test_without_a_rule_the_mapped_owner_stays(
    emulator: EmulatorServer, tmp_path: Path, how: str, mapped: str, api: str
) -> None:
    """Of leads that are created, updated and moved."""
    rows = people(3, owner=SALES_USER_ID)
    emulator.seed_leads(leads(rows if how == "stage" else rows[:1]))
    ran = run(operator(how, rows, tmp_path, MAPPED[mapped], api=api, assignment_rule=None))
    assert ran.error is None
    owners = {key: lead["OwnerId"] for key, lead in by_external_id(emulator).items()}
    mine = set(owners) - {"K-0"} if how == "create" else set(owners)
    assert {owners[key] for key in mine} == {SALES_USER_ID}
