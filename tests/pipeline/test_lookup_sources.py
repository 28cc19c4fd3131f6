# ruff: noqa: TID253 - a test is no Dag file
"""Where a look-up reads leads from, and what that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from traceback import format_exception

import pyarrow as pa
import pytest

from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.lookup_sources import (
    Wanted,
    in_columns,
    query_leads,
    read_by_calls,
    read_leads,
)
from airflow_provider_sfleads.pipeline.result_file import read_page
from airflow_provider_sfleads.salesforce.query_job import Stopped
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.pipeline.asking import AskedOrg
from tests.pipeline.org import Org, lead_id
from tests.pipeline.runs import describe

FIELDS = ("Id", "External_Id__c", "LastName", "Score__c", "IsConverted", "ConvertedContactId")
COUNT, CREATE, ASK, DROP = "GET query", "POST jobs/query", "GET jobs/query/JOB", "DELETE jobs/query/JOB"
RETRIEVE, PAGE = "POST composite/sobjects/Lead", "GET jobs/query/JOB/results"
# So many ids that a query job is cheaper.
MANY = 60_000


def full_org(count: int = 7) -> AskedOrg:
    """An org with leads of all kinds of values."""
    org = Org()
    for number in range(count):
        name = ['Ray\n"Mond", Jr.', "O'Poe", "é", None][number % 4]
        score = Decimal(number) / 2 if number % 2 else None
        org.add(External_Id__c=f"k{number}", LastName=name, Score__c=score, IsConverted=number % 3 == 0)
    return AskedOrg(org)


def wanted(ids: int = 0, keys: int = 0) -> Wanted:
    """The first so many leads, by id and by key; beyond those that exist there are others."""
    return Wanted(
        fields=FIELDS,
        ids=lambda: (lead_id(number + 1) for number in range(ids)),
        id_count=ids,
        external=describe().find("External_Id__c") if keys else None,
        keys=lambda: (f"k{number}" for number in range(keys)),
        key_count=keys,
        key_bytes=sum(len(f"k{number}") for number in range(keys)),
    )


def read(org: AskedOrg, what: Wanted, folder: Path) -> list[dict[str, str | None]]:
    """The leads that are read, in order of their ids; nothing is left in the folder."""
    batches = list(read_leads(org.reading(folder), what))
    assert not list(folder.iterdir())
    leads = [lead for batch in batches for lead in batch.to_pylist()]
    assert all(set(batch.schema.types) == {pa.string()} for batch in batches)
    return sorted(leads, key=lambda lead: str(lead["Id"]))


def test_every_source_says_the_same(tmp_path: Path) -> None:
    """By id, by key and by query job: the same strings, but for how numbers are spelled."""
    org = full_org()
    by_id, by_key = read(org, wanted(ids=7), tmp_path), read(org, wanted(keys=7), tmp_path)
    assert org.paths() == [RETRIEVE, COUNT]
    org.calls.clear()
    by_job = read(org, wanted(ids=MANY), tmp_path)
    assert org.paths() == [COUNT, CREATE, ASK, ASK, PAGE, PAGE, PAGE, DROP]
    for lead in by_job:
        if lead["Score__c"] is not None:
            lead["Score__c"] = lead["Score__c"].removesuffix(".0")
    assert len(by_id) == 7
    assert by_id == by_key == by_job
    assert by_id[0]["LastName"] == 'Ray\n"Mond", Jr.'
    assert by_id[3]["LastName"] is None


def test_nobody_is_asked_for_nothing(tmp_path: Path) -> None:
    """Without a wish there is no call, and in an empty org one."""
    org = full_org(0)
    assert read(org, wanted(), tmp_path) == []
    assert org.calls == []
    assert read(org, wanted(ids=MANY), tmp_path) == []
    assert org.paths() == [COUNT]


@pytest.mark.parametrize(("ids", "retrievals", "counts"), [(1, 1, 0), (4_000, 2, 0), (4_001, 3, 1), (40_000, 20, 1)])
def test_two_thousand_ids_to_a_call(tmp_path: Path, ids: int, retrievals: int, counts: int) -> None:
    """As long as that is cheaper than a query job."""
    org = full_org()
    assert len(read(org, wanted(ids=ids), tmp_path)) == min(ids, 7)
    assert org.paths() == [COUNT] * counts + [RETRIEVE] * retrievals


@pytest.mark.parametrize(("ids", "keys"), [(0, 0), (7, 0), (0, 7), (3, 5), (2_000, 2_000), (4_001, 0), (0, 3_000)])
def test_a_window_s_leads_are_read_by_calls_alone(tmp_path: Path, ids: int, keys: int) -> None:
    """Nobody counts the org's leads, and no query job is made; a lead that is wanted twice comes twice."""
    org = full_org()
    batches = list(read_by_calls(org.reading(tmp_path), wanted(ids=ids, keys=keys)))
    found = [lead["Id"] for batch in batches for lead in batch.to_pylist()]
    assert sorted(found) == sorted([lead_id(n + 1) for n in [*range(min(ids, 7)), *range(min(keys, 7))]])
    retrievals = -(-ids // 2_000)
    assert org.paths()[:retrievals] == [RETRIEVE] * retrievals
    assert set(org.paths()[retrievals:]) == ({COUNT} if keys else set())
    assert not [call for call in org.calls if "COUNT()" in (call.params or {}).get("q", "")]


def test_keys_that_are_numbers_are_asked_for_as_numbers(tmp_path: Path) -> None:
    """As SOQL writes them, however the export does."""
    org = Org()
    there = [org.add(Number_Id__c=number, LastName="Ray") for number in (Decimal(7), Decimal("2.5"))]
    asked = replace(wanted(), fields=("Id",), external=describe().find("Number_Id__c"))
    asked = replace(asked, keys=lambda: iter(["7", "2.50", "9"]), key_count=3, key_bytes=6)
    found = list(read_by_calls(AskedOrg(org).reading(tmp_path), asked))
    assert sorted(lead for batch in found for lead in batch.column("Id").to_pylist()) == sorted(there)


def test_calls_that_have_not_begun_are_not_made_behind_a_stop(tmp_path: Path) -> None:
    """By calls alone, too."""
    org = full_org()
    with pytest.raises(Stopped):
        list(read_by_calls(org.reading(tmp_path, stopped=lambda: True), wanted(keys=3)))
    assert org.calls == []


def test_many_keys_are_a_query_job_over_the_leads_that_have_one(tmp_path: Path) -> None:
    """A lead without a key is not read."""
    org = full_org()
    org.org.add(LastName="Poe")
    assert len(read(org, wanted(keys=40_000), tmp_path)) == 7
    assert org.paths()[:2] == [COUNT, CREATE]
    body = org.calls[1].body
    assert isinstance(body, dict)
    assert body["query"].startswith("SELECT Id, External_Id__c, LastName")
    assert body["query"].endswith(" FROM Lead WHERE External_Id__c != null")


class Counted(AskedOrg):
    """An org that says it holds so many leads."""

    said: int | None = None

    def send(self, call: Call) -> Reply:
        """Answer as the transport would."""
        if not (call.params or {}).get("q", "").startswith("SELECT COUNT()"):
            return AskedOrg.send(self, call)
        if self.said is None:
            return Reply(status=400, body=[{"errorCode": "QUERY_TIMEOUT", "message": "too long"}])
        return Reply(status=200, body={"totalSize": self.said, "done": True, "records": []})


@pytest.mark.parametrize("said", [None, 50 * MANY + 1, 10 * 500_000])
def test_an_org_that_is_too_large_is_not_read_as_a_whole(tmp_path: Path, said: int | None) -> None:
    """Nor one whose size is not known, nor where the pages of results are as many calls."""
    org = Counted(full_org().org)
    org.said = said
    assert len(read(org, wanted(ids=MANY), tmp_path)) == 7
    assert set(org.paths()) == {RETRIEVE}


@pytest.mark.parametrize("how", ["refused", "Failed", "Aborted"])
def test_without_a_query_job_there_are_calls(tmp_path: Path, how: str) -> None:
    """A job that is refused or fails costs calls, not the look-up; one that failed is deleted."""
    org = full_org()
    org.refuses, org.states = how == "refused", ["InProgress", how]
    assert len(read(org, wanted(ids=MANY), tmp_path)) == 7
    begun = [COUNT, CREATE] if how == "refused" else [COUNT, CREATE, ASK, ASK, DROP]
    assert org.paths() == [*begun, *[RETRIEVE] * 30]


def test_a_query_job_is_asked_about_less_and_less_often(tmp_path: Path) -> None:
    """A job of an hour costs no 100 calls."""
    org = full_org()
    org.states = [*["InProgress"] * 75, "JobComplete"]
    read(org, wanted(ids=MANY), tmp_path)
    assert sum(org.waits) > 3_600
    assert org.waits == sorted(org.waits)


@pytest.mark.parametrize("after", [0, 2, 4])
def test_a_run_that_is_to_end_leaves_no_job_behind(tmp_path: Path, after: int) -> None:
    """While it is waited for, or while its results are read."""
    org = full_org()
    asked: Iterator[int] = iter(range(100))
    stopped: Callable[[], bool] = lambda: next(asked) >= after  # noqa: E731 - as a value
    with pytest.raises(Stopped):
        list(read_leads(org.reading(tmp_path, stopped=stopped), wanted(ids=MANY)))
    assert org.paths()[-1] == (DROP if after > 1 else "PATCH jobs/query/JOB")
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_to_end_reads_no_further(tmp_path: Path) -> None:
    """Calls that have not begun are not made."""
    org = full_org()
    asked: Iterator[int] = iter(range(100))
    with pytest.raises(Stopped):
        list(read_leads(org.reading(tmp_path, stopped=lambda: next(asked) >= 3), wanted(ids=20_000)))
    assert len(org.calls) <= 4


def test_a_results_page(tmp_path: Path) -> None:
    """Columns by name, whatever their order and letter case; a page without rows, or without anything, is empty."""
    page = tmp_path / "page.csv"
    page.write_text('\ufeff"lastname","ID","More"\n"","00Q","x"\n"a,\n""b""","",""\n', encoding="utf-8")
    rows = [row for batch in read_page(page, ("Id", "LastName")) for row in batch.to_pylist()]
    assert rows == [{"Id": "00Q", "LastName": None}, {"Id": None, "LastName": 'a,\n"b"'}]
    page.write_text('"Id","LastName"\n', encoding="utf-8")
    assert sum(batch.num_rows for batch in read_page(page, ("Id", "LastName"))) == 0
    page.write_text("", encoding="utf-8")
    assert list(read_page(page, ("Id",))) == []
    page.write_text('"Id"\n', encoding="utf-8")
    with pytest.raises(ServiceUnavailableError, match="LastName"):
        list(read_page(page, ("Id", "LastName")))


def test_a_record_as_large_as_salesforce_has_them(tmp_path: Path) -> None:
    """Is read, as are those before and after it, once each."""
    names = [str(number) * 20 for number in range(40_000)]
    names[30_000] = "\n" * 1_200_000
    page = tmp_path / "page.csv"
    page.write_text('"LastName"\n' + "".join(f'"{name}"\n' for name in names), encoding="utf-8", newline="")
    batches = list(read_page(page, ("LastName",)))
    assert [name for batch in batches for name in batch.column(0).to_pylist()] == names
    assert len(batches) > 1


@pytest.mark.parametrize(
    "damaged",
    [
        b'"Id","LastName"\n' + b'"00Q","Poe"\n' * 60_000 + b'"00Q","Poe","Ray"\n',
        b'"Id","LastName"\n"00Q","Po\xff"\n',
        b'"Id","LastName"\n' + b'"00Q","Poe"\n' * 60_000 + b'"00Q","Po\xff"\n',
        b'"Id","Last\xffPoe"\n"00Q","Poe"\n',
        b'"Id","LastName","' + b"Poe" * 50_000 + b'"\n',
        b'"Id","LastName"\n"00Q","' + b"Poe" * 3_000_000 + b'"\n',
        b'"Id","LastName","' + b'Poe","' * 500_000,
        b'"Id","LastName","id"\n"00Q","Poe","00Q"\n',
    ],
    ids=[
        "one value too many",
        "no UTF-8",
        "no UTF-8 further on",
        "a header of no UTF-8",
        "no header",
        "one too large",
        "a header without an end",
        "a column twice",
    ],
)
def test_a_damaged_page(tmp_path: Path, damaged: bytes) -> None:
    """Salesforce is asked again for it, and no value of it is told."""
    page = tmp_path / "page.csv"
    page.write_bytes(damaged)
    with pytest.raises(ServiceUnavailableError) as caught:
        list(read_page(page, ("Id", "LastName")))
    assert "Po" not in "".join(format_exception(caught.value))


def test_a_value_that_no_column_holds() -> None:
    """Half of a surrogate pair, which JSON can hold, costs its own character and nothing else."""
    batch = in_columns([{"Id": "a\ud800b"}, {"Id": 5.0}, {"Id": True}, {}], ("Id",))
    assert batch.column("Id").to_pylist() == ["a?b", "5", "true", None]


@pytest.mark.parametrize(
    ("locators", "how"),
    [(["MTAw", "MTAw"], "there before"), (["a b"], "cannot be one"), (["x" * 2000], "cannot be one")],
)
def test_results_that_lead_in_a_circle_end(tmp_path: Path, locators: list[str], how: str) -> None:
    """A locator that comes again would be read for ever; the job is dropped all the same."""
    org = full_org()
    named = iter(locators)

    def download(_call: Call, path: Path) -> Reply:
        path.write_text(f'"Id"\n"{lead_id(1)}"\n')
        return Reply(status=200, headers={"sforce-locator": next(named)})

    reading = replace(org.reading(tmp_path), download=download)
    with pytest.raises(ServiceUnavailableError, match=how):
        list(query_leads(reading, "SELECT Id FROM Lead", ("Id",)) or ())
    assert org.paths()[-1].startswith("DELETE")
