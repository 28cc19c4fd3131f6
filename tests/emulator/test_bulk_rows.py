from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.emulator import bulk_csv
from airflow_provider_sfleads.emulator.bulk_csv import Form
from tests.emulator.bulk import Bulk, leads_csv

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_sfleads.emulator import EmulatorServer

WRONG_END = "ClientInputError : LineEnding is invalid on user data"
KEY = {"externalIdFieldName": "External_Id__c"}


def errors(bulk: Bulk, job_id: str) -> dict[str, str]:
    """What is said of each failed record, by its last name."""
    return {row["LastName"]: row["sf__Error"] for row in bulk.results(job_id, "failedResults")}


def test_values_are_read_by_the_type_of_their_field(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Text is text, numbers are numbers, and moments are moments."""
    text = (
        "LastName,Company,DoNotCall,NumberOfEmployees,AnnualRevenue,Score_Date__c,Description\n"
        'Ray,"Acme, ""Ltd""",TRUE,12,1e3,2026-11-24T00:10:00.000Z,"one\ntwo"\n'
        "Poe,Acme,0,,,,\n"
    )
    job = bulk.run(text)
    ray, poe = sorted(emulator.leads(), key=lambda lead: lead["LastName"], reverse=True)

    assert job["numberRecordsFailed"] == 0
    assert (ray["Company"], ray["DoNotCall"], ray["NumberOfEmployees"]) == ('Acme, "Ltd"', True, 12)
    assert (ray["AnnualRevenue"], ray["Description"]) == (1000.0, "one\ntwo")
    assert ray["Score_Date__c"] == "2026-11-24T00:10:00.000+0000"
    assert (poe["DoNotCall"], poe["NumberOfEmployees"]) == (False, None)
    assert bulk.results(job["id"], "successfulResults")[0].keys() == {
        "sf__Id", "sf__Created", *text.splitlines()[0].split(",")}  # fmt: skip


def test_empty_leaves_alone_and_na_clears(bulk: Bulk, emulator: EmulatorServer) -> None:
    """On update and on upsert."""
    (lead_id,) = emulator.seed_leads([{"LastName": "Ray", "Company": "A", "City": "Bonn", "Phone": "1",
                                       "External_Id__c": "L-1"}])  # fmt: skip
    bulk.run(f"Id,City,Phone\n{lead_id},,#N/A\n", "update")
    assert (emulator.lead(lead_id)["City"], emulator.lead(lead_id)["Phone"]) == ("Bonn", None)

    job = bulk.run("External_Id__c,City,Phone\nl-1,#N/A,2\n", "upsert", **KEY)
    assert (emulator.lead(lead_id)["City"], emulator.lead(lead_id)["Phone"]) == (None, "2")
    (row,) = bulk.results(job["id"], "successfulResults")
    assert (row["sf__Id"], row["sf__Created"], row["City"]) == (lead_id, "false", "#N/A")


def test_a_refused_row_says_why(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Code, message, and the fields where there are any; an id where the lead is known."""
    seeded = emulator.seed_leads([{"LastName": "Old", "Company": "A", "External_Id__c": "L-1"}])
    job = bulk.run(
        "LastName,Company,Email,NumberOfEmployees,External_Id__c\nA,B,nope,,\nC,,,,\nD,E,,many,\nF,G,,,L-1\n"
    )
    found = errors(bulk, job["id"])

    assert found["A"] == "INVALID_EMAIL_ADDRESS:Email: invalid email address: nope:Email --"
    assert found["C"] == "REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --"
    assert found["D"] == (
        "INVALID_FIELD:Failed to deserialize field at col 3. Due to, 'many' is not a valid value for the type xsd:int"
        ":NumberOfEmployees --"
    )
    assert found["F"] == (
        f"DUPLICATE_VALUE:duplicate value found: External_Id__c duplicates value on record with id: {seeded[0]}:--"
    )
    assert {row["sf__Id"] for row in bulk.results(job["id"], "failedResults")} == {""}
    assert (job["numberRecordsProcessed"], job["numberRecordsFailed"]) == (4, 4)

    update = bulk.run(f"Id,Email\n{seeded[0]},nope\n", "update")
    assert bulk.results(update["id"], "failedResults")[0]["sf__Id"] == seeded[0]


def test_an_upsert_row_that_loses_a_race_is_told_as_an_insert_is(bulk: Bulk, emulator: EmulatorServer) -> None:
    """In the words that the org is set to."""
    emulator.seed_leads([{"LastName": "Old", "Company": "A", "External_Id__c": "L-1"}])
    emulator.add_fault("race", key="^L-1$")
    emulator.change_settings(duplicate_value_wording="unknown", duplicate_value_fields=True)
    job = bulk.run(leads_csv("L-1", "L-2"), "upsert", **KEY)
    (failed,) = bulk.results(job["id"], "failedResults")
    said = "duplicate value found: <unknown> duplicates value on record with id: <unknown>"
    assert failed["sf__Error"] == f"DUPLICATE_VALUE:{said}:External_Id__c --"


def test_rows_are_saved_two_hundred_at_a_time(bulk: Bulk, emulator: EmulatorServer) -> None:
    """The same key twice costs both rows where they are saved together, and updates where they are not."""
    keys = ["twin", "twin", *range(198), "twin"]
    job = bulk.run(leads_csv(*keys), "upsert", **KEY)

    failed = bulk.results(job["id"], "failedResults")
    assert [row["sf__Error"].partition(":")[0] for row in failed] == ["DUPLICATE_VALUE"] * 2
    assert emulator.stats()["leads"] == 199


def test_rules_run_only_where_the_job_says_so(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Assignment by the rule's id; duplicates cannot be let pass."""
    (rule,) = bulk.api.query("SELECT Id FROM AssignmentRule WHERE SobjectType = 'Lead' AND Active = true")
    bulk.run(leads_csv(1))
    bulk.run(leads_csv(2), assignmentRuleId=rule["Id"])
    owners = [lead["OwnerId"][:3] for lead in emulator.leads()]
    assert owners == ["005", "00G"]

    emulator.change_settings(duplicate_rule="alert")
    job = bulk.run(leads_csv(3))
    assert list(errors(bulk, job["id"]).values()) == ["DUPLICATES_DETECTED:Use one of these records?:--"]


def test_delete_and_upsert_by_id(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Deleted leads are gone; an upsert by Id creates where there is none."""
    ids = emulator.seed_leads([{"LastName": name, "Company": "A"} for name in ("Ray", "Poe")])
    gone = bulk.run(f"Id\n{ids[0]}\n", "delete")
    assert bulk.counts(gone["id"]) == (1, 0, 0)
    job = bulk.run(f"Id,LastName,Company\n{ids[1]},Poe2,\n,New,B\n", "upsert", externalIdFieldName="Id")

    assert [lead["LastName"] for lead in emulator.leads()] == ["Poe2", "New"]
    created = {row["LastName"]: row["sf__Created"] for row in bulk.results(job["id"], "successfulResults")}
    assert created == {"Poe2": "false", "New": "true"}


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        ("LastName,Nope__c,Also__c\nRay,1,2\n", {}, "InvalidBatch : Field name not found : Nope__c"),
        ("\ufeffLastName,Company\nRay,A\n", {}, "InvalidBatch : Field name not found : \ufeffLastName"),
        ('\ufeff"LastName",Company\nRay,A\n', {}, "InvalidBatch : Failed to parse CSV. Found unescaped quote."),
        ('LastName,Company\nRay,A "quoted" name\n', {}, "InvalidBatch : Failed to parse CSV. Found unescaped quote."),
        ("LastName,Company\r\nRay,A\r\n", {}, f"{WRONG_END}. Current LineEnding setting is LF"),
        ('LastName,Company\nRay,"A\r\nB"\n', {}, WRONG_END),
        ("LastName,Company\nRay,A\n", {"lineEnding": "CRLF"}, f"{WRONG_END}. Current LineEnding setting is CRLF"),
        ("LastName," + ",".join(["Company"] * 4001) + "\nRay\n", {}, "InvalidBatch : The header is longer than 32000"),
        ("\n", {}, "InvalidBatch : Failed to parse CSV. The file holds no header"),
        ("LastName,Company\nRay\n", {}, "InvalidBatch : Record 1 has 1 values, the header has 2"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_fails_the_job(
    bulk: Bulk, emulator: EmulatorServer, content: str, more: dict[str, str], message: str
) -> None:
    """And nothing is written."""
    info = bulk.run(content, **more)

    assert info["state"] == "Failed"
    assert info["errorMessage"].startswith(message)
    assert emulator.leads() == []


def test_a_hidden_field_is_not_found(bulk: Bulk, emulator: EmulatorServer) -> None:
    """What field-level security withholds does not exist."""
    emulator.change_settings(hidden_fields=("Phone",))

    info = bulk.run(leads_csv(1, Phone="1"))
    assert info["errorMessage"] == "InvalidBatch : Field name not found : Phone"


def test_other_delimiters_and_line_endings(bulk: Bulk, emulator: EmulatorServer) -> None:
    """The results are written as the upload was."""
    info = bulk.run("LastName|Company\r\nRay|A,B\r\n", columnDelimiter="PIPE", lineEnding="CRLF")

    assert emulator.leads()[0]["Company"] == "A,B"
    assert bulk.raw(info["id"], "successfulResults").splitlines(keepends=True)[0] == (
        '"sf__Id"|"sf__Created"|LastName|Company\r\n'
    )


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8)


@given(st.lists(st.lists(CELLS.filter(bool), min_size=2, max_size=2), max_size=30), st.integers(16, 200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_files_are_taken_apart_at_their_records(tmp_path: Path, rows: list[list[str]], piece: int) -> None:
    """Whatever stands in the cells and however the file is cut: the blocks hold every record once."""
    form = Form()
    path = tmp_path / "any.csv"
    path.write_text("".join(map(form.line, [["a", "b"], *rows])), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk_csv, "_PIECE", piece)
        content = bulk_csv.inspect(path, form)
    lines = [line for block in content.blocks for line in bulk_csv.records(bulk_csv.read(path, block))]

    assert (content.problem, content.rows, content.columns) == (None, len(rows), ("a", "b"))
    assert [line.decode() for line in lines] == [form.line(row) for row in rows]
    assert list(bulk_csv.cells(path, content, form)) == rows
    for start in range(0, len(rows), 7):
        part = bulk_csv.stretch(path, content.blocks, start, 5)
        found = [line for b in part for line in bulk_csv.records(bulk_csv.read(path, b))[: b.rows]]
        assert found == lines[start : start + 5]
