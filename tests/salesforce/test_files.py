"""Uploads from files and downloads into files."""

from __future__ import annotations

import gzip
import threading
from typing import TYPE_CHECKING

import pytest

from airflow_provider_sfleads.exceptions import ApiLimitError, OutcomeUnknownError, ServiceUnavailableError
from airflow_provider_sfleads.salesforce.ingest_jobs import ResultKind, query_results, results, upload
from airflow_provider_sfleads.salesforce.settings import Retries
from tests.salesforce.stub import EXPIRED, Got, Say, Script, refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.salesforce.conftest import MakeClient
    from tests.salesforce.stub import Stub

CSV = {"Content-Type": "text/csv"}
PACKED = CSV | {"Content-Encoding": "gzip"}
ROWS = b'"sf__Id","sf__Created","Ext__c"\n' + b'"00Q5g00000AbCdEEAV","true","K-1"\n' * 100_000
FETCH = results("7501", ResultKind.SUCCESSFUL)


def script(*answers: Say) -> Script:
    """Answer requests in this order, and the last of them from then on."""
    return lambda got: answers[min(got.number, len(answers)) - 1]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A CSV file of some megabytes."""
    path = tmp_path / "rows.csv"
    path.write_bytes(ROWS)
    return path


def test_a_file_goes_out_with_length_and_type(stub: Stub, make_client: MakeClient, rows: Path) -> None:
    """An upload is what lies on disk, with its length told beforehand."""
    stub.script = script(Say(201, None))
    assert make_client().send(upload("7501", rows)).status == 201
    got = stub.requests[0]
    assert got.body == ROWS
    assert got.headers["content-length"] == str(len(ROWS))
    assert got.headers["content-type"] == "text/csv; charset=UTF-8"
    assert "transfer-encoding" not in got.headers


def test_every_attempt_sends_the_whole_file(stub: Stub, make_client: MakeClient, rows: Path) -> None:
    """After a refused token and a busy server the file goes out from its start."""
    stub.script = script(EXPIRED, refused("SERVER_UNAVAILABLE", "", 503), Say(201, None))
    make_client().send(upload("7501", rows))
    assert [got.body == ROWS for got in stub.requests] == [True, True, True]


def test_an_upload_without_an_answer_is_not_sent_twice(stub: Stub, make_client: MakeClient, rows: Path) -> None:
    """A job with two uploads cannot be closed, so the caller is told instead."""
    stub.script = script(Say(hang_up=True))
    with pytest.raises(OutcomeUnknownError, match="PUT jobs/ingest/7501/batches"):
        make_client().send(upload("7501", rows))
    assert len(stub.requests) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_rows_come_into_the_file(stub: Stub, make_client: MakeClient, tmp_path: Path, *, packed: bool) -> None:
    """Rows are written unpacked, the reply has headers and no body, and nothing else is left lying."""
    headers = (PACKED if packed else CSV) | {"Sforce-Locator": "MTAw", "Sforce-NumberOfRecords": "100000"}
    stub.script = script(Say(200, gzip.compress(ROWS) if packed else ROWS, headers))
    reply = make_client().download(query_results("7501"), tmp_path / "page.csv")
    assert (reply.status, reply.body, reply.headers["sforce-locator"]) == (200, None, "MTAw")
    assert (tmp_path / "page.csv").read_bytes() == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["page.csv"]
    # A packed answer is taken all the same, for a proxy may pack it; asked for it is plain.
    assert stub.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "torn",
    [
        Say(200, ROWS[:1_000_000], CSV, cut=1000),
        Say(200, gzip.compress(ROWS)[:-1000], PACKED, cut=1000),
        Say(200, gzip.compress(ROWS)[:-1000], PACKED),
        Say(200, b"no gzip at all", PACKED),
        Say(200, b"<html>sign in</html>", {"Content-Type": "text/html"}),
        Say(200, [], {}),
        Say(503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "busy"}]),
    ],
    ids=["cut", "packed, cut", "packed, short", "damaged", "a page", "JSON", "busy"],
)
def test_a_torn_answer_is_read_again_from_its_start(
    stub: Stub, make_client: MakeClient, tmp_path: Path, torn: Say
) -> None:
    """Whatever came of it, the file holds the rows once."""
    stub.script = script(torn, Say(200, ROWS, CSV))
    client = make_client()
    client.download(FETCH, tmp_path / "page.csv")
    assert (tmp_path / "page.csv").read_bytes() == ROWS
    assert client.api_calls == 2


def test_a_file_is_whole_or_not_there(stub: Stub, make_client: MakeClient, tmp_path: Path) -> None:
    """When no attempt is left, an older file stays as it was, and nothing is left beside it."""
    old = tmp_path / "page.csv"
    old.write_text("old")
    stub.script = script(Say(200, ROWS[:5000], CSV, cut=10))
    with pytest.raises(ServiceUnavailableError, match="successfulResults"):
        make_client(retries=Retries(attempts=2)).download(FETCH, old)
    assert old.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["page.csv"]


def test_a_refusal_is_returned_and_writes_nothing(stub: Stub, make_client: MakeClient, tmp_path: Path) -> None:
    """A deleted job's results are a 404 for the caller to judge."""
    stub.script = script(refused("NOT_FOUND", "The requested resource does not exist", 404))
    reply = make_client().download(FETCH, tmp_path / "page.csv")
    assert (reply.status, reply.body) == (
        404,
        [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}],
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("headers", [CSV, {}])
def test_no_rows_are_an_empty_file(
    stub: Stub, make_client: MakeClient, tmp_path: Path, headers: dict[str, str]
) -> None:
    """Salesforce may answer with nothing at all where there are no rows."""
    stub.script = script(Say(200, None, headers))
    make_client().download(FETCH, tmp_path / "page.csv")
    assert (tmp_path / "page.csv").read_bytes() == b""


def test_a_token_that_has_expired_is_renewed(stub: Stub, make_client: MakeClient, tmp_path: Path) -> None:
    """A download outlives its token as a call does."""
    stub.script = script(EXPIRED, Say(200, ROWS, CSV))
    client = make_client()
    client.download(FETCH, tmp_path / "page.csv")
    assert (client.token_requests, (tmp_path / "page.csv").stat().st_size) == (2, len(ROWS))


def test_connections_are_used_again(stub: Stub, make_client: MakeClient, tmp_path: Path) -> None:
    """What has been read to its end gives its connection back."""
    stub.script = script(Say(200, ROWS, CSV), Say(200, gzip.compress(ROWS), PACKED), Say(200, ROWS, CSV))
    client = make_client()
    for number in range(3):
        client.download(FETCH, tmp_path / f"{number}.csv")
    assert len(stub.connections) == 1


def test_threads_download_beside_each_other(stub: Stub, make_client: MakeClient, tmp_path: Path) -> None:
    """Four threads share one client and one token."""

    def answer(got: Got) -> Say:
        return Say(200, got.path.encode(), CSV)

    stub.script = answer
    client = make_client()
    work = [
        threading.Thread(target=client.download, args=(results(f"75{n}", ResultKind.FAILED), tmp_path / f"{n}.csv"))
        for n in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert all(f"/75{n}/" in (tmp_path / f"{n}.csv").read_text() for n in range(4))
    assert client.token_requests == 1


@pytest.mark.parametrize("code", ["EXCEEDEDQUOTA", "LIMIT_EXCEEDED"])
def test_a_bulk_limit_is_a_limit(stub: Stub, make_client: MakeClient, rows: Path, code: str) -> None:
    """It is told as one, at once, and a later try of the task may help."""
    stub.script = script(refused(code, "ApiBatchItems Limit exceeded."))
    with pytest.raises(ApiLimitError, match="ApiBatchItems Limit exceeded") as caught:
        make_client().send(upload("7501", rows))
    assert (caught.value.transient, len(stub.requests)) == (True, 1)
