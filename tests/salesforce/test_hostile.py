"""Servers that mean no good, or are broken: each answer ends in an error of ours, in time, and in bounded memory."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
import time
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exceptions import (
    OutcomeUnknownError,
    ReplyTooLargeError,
    ServiceUnavailableError,
    WrongHostError,
)
from airflow_provider_sfleads.salesforce.ingest_jobs import ResultKind, results
from airflow_provider_sfleads.salesforce.settings import Retries
from airflow_provider_sfleads.salesforce.wire import Call
from tests.salesforce import hostile_child
from tests.salesforce.stub import Got, Say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.salesforce.conftest import MakeClient
    from tests.salesforce.stub import Stub

ROOT = Path(__file__).parents[2]
JOB = "7505g00000XyZaBAAV"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PACKED = b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
# An answer of 32 MB at most, twice over, and what the process has beside.
MOST_MB = 110.0


def slowly(piece: bytes, start: bytes = b"") -> Iterator[bytes]:
    """Yield something for ever, often enough that no time-out of a socket fires."""
    yield start
    while True:
        time.sleep(0.1)
        yield piece


def for_ever(piece: bytes, start: bytes = b"") -> Iterator[bytes]:
    """Yield something for ever, as fast as it goes."""
    return itertools.chain([start], itertools.repeat(piece))


@cache
def bomb() -> bytes:
    """Return 256 MB of blanks in a quarter of a megabyte."""
    pack = zlib.compressobj(6, wbits=31)
    return b"".join(pack.compress(b" " * (1 << 20)) for _ in range(256)) + pack.flush()


def bomb_of_nothing() -> Iterator[bytes]:
    """Yield empty gzip members for ever: nothing comes of them but work."""
    return for_ever(gzip.compress(b"") * 5000, OK + PACKED)


def whole(body: bytes) -> list[bytes]:
    """Return a plain answer, which says that the server hangs up after it."""
    return [OK + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body), body]


TOO_LARGE = "ReplyTooLargeError"
UNREADABLE = "ServiceUnavailableError The answer to GET sobjects"
IN_VAIN = "ServiceUnavailableError GET sobjects"
CHUNK = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
ANSWERS: dict[str, tuple[Callable[[], Iterable[bytes]], str]] = {
    "gzip_bomb": (lambda: [OK + PACKED, bomb()], TOO_LARGE),
    "gzip_of_nothing": (bomb_of_nothing, IN_VAIN),
    "endless_chunks": (lambda: for_ever(CHUNK, CHUNKED), TOO_LARGE),
    "endless_body": (lambda: for_ever(b" " * 65536, OK + b"Connection: close\r\n\r\n"), TOO_LARGE),
    "promised_terabyte": (lambda: for_ever(b" " * 65536, OK + b"Content-Length: 1099511627776\r\n\r\n"), TOO_LARGE),
    "error_for_ever": (lambda: for_ever(b" " * 65536, b"HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n"), TOO_LARGE),
    "redirect_bomb": (
        lambda: [b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n" + PACKED, bomb()],
        TOO_LARGE,
    ),
    "negative_chunk": (lambda: for_ever(b" " * 65536, CHUNKED + b"-1\r\n"), "Error GET sobjects"),
    "long_chunk_size": (lambda: for_ever(b"0" * 65536, CHUNKED), "Error"),
    "header_line_bomb": (lambda: for_ever(b"a" * 65536, OK + b"X-Long: "), IN_VAIN),
    "header_bomb": (lambda: for_ever(b"X-More: " + b"a" * 1000 + b"\r\n", OK), IN_VAIN),
    "endless_continue": (lambda: for_ever(b"HTTP/1.1 100 Continue\r\n\r\n"), "Error"),
    "slow_body": (lambda: slowly(b" ", OK + b"Content-Length: 1000\r\n\r\n"), f"{IN_VAIN}"),
    "slow_header": (lambda: slowly(b"a", OK + b"X-Slow: "), IN_VAIN),
    "slow_status": (lambda: slowly(b"H"), IN_VAIN),
    "slow_chunk_size": (lambda: slowly(b"0", CHUNKED), IN_VAIN),
    "slow_trailers": (lambda: slowly(b"X: y\r\n", CHUNKED + b"0\r\n"), ""),
    "no_http": (lambda: [b"SSH-2.0-OpenSSH_9.7\r\n\r\n"], IN_VAIN),
    "brotli": (lambda: [OK + b"Content-Encoding: br\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd"], IN_VAIN),
    "deep": (lambda: whole(b"[" * 200_000), UNREADABLE),
    "many_objects": (lambda: whole(b"[" + b"{}," * 8_000_000 + b"{}]"), UNREADABLE),
    "twice": (lambda: whole(b'{"success":true,"success":false}'), UNREADABLE),
    "nan": (lambda: whole(b'{"a":NaN}'), UNREADABLE),
    "too_great": (lambda: whole(b'{"a":1e999}'), UNREADABLE),
    "digits": (lambda: whole(b"9" * 5000), UNREADABLE),
    "latin": (lambda: whole(b'"\xe9"'), UNREADABLE),
    "half_a_character": (lambda: whole(rb'"\ud83d \\ud83d \ud83d\ude00"'), "body '\ufffd \\\\ud83d \U0001f600'"),
}


def hostile(got: Got) -> Say:
    """Answer by the name that is asked for."""
    return Say(raw=ANSWERS[got.path.rpartition("/")[2]][0]())


@pytest.mark.parametrize("which", ["threads", "async"])
def test_whatever_comes_ends_in_an_error_in_time_and_in_bounded_memory(stub: Stub, which: str) -> None:
    """Neither client hangs, grows or lets an error of a library through."""
    bomb()
    stub.script = hostile
    command = [sys.executable, hostile_child.__file__, stub.url, which, *ANSWERS]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert [each["name"] for each in found] == list(ANSWERS)
    wrong = [each for each in found if ANSWERS[each["name"]][1] not in each["told"]]
    assert wrong == []
    assert sum(each["grown"] for each in found) < MOST_MB
    # Mostly a second or two; a machine under load needs a while.
    assert [each for each in found if each["seconds"] > 60] == []


@pytest.mark.parametrize("name", ["gzip_bomb", "slow_body", "header_bomb", "deep", "twice"])
@pytest.mark.parametrize("repeatable", [True, False])
def test_a_write_with_such_an_answer_is_of_unknown_outcome(
    stub: Stub, make_client: MakeClient, name: str, *, repeatable: bool
) -> None:
    """Salesforce may have carried it out; what must not be sent twice is not."""
    bomb()
    stub.script = lambda _got: Say(raw=ANSWERS[name][0]())
    client = make_client(timeout=0.3, retries=Retries(attempts=2))
    call = Call(method="PATCH", path="composite/sobjects", body={}, write=True, repeatable=repeatable)
    with pytest.raises(OutcomeUnknownError, match="not known"):
        client.send(call)
    assert len(stub.requests) == (2 if repeatable and name != "gzip_bomb" else 1)


def test_an_answer_that_is_too_large_is_not_asked_for_again(stub: Stub, make_client: MakeClient) -> None:
    """It would be as large; neither the transport nor Airflow tries again, and the message says what to do."""
    stub.script = lambda _got: Say(body=b"[" + b" " * 2000 + b"]")
    with pytest.raises(ReplyTooLargeError, match="more than 0 MB unpacked") as caught:
        make_client(max_reply=2000).send(Call(method="GET", path="limits"))
    assert not caught.value.transient
    assert len(stub.requests) == 1
    stub.script = lambda _got: Say(body=b"[" + b" " * 1998 + b"]")
    assert make_client(max_reply=2000).send(Call(method="GET", path="limits")).body == []


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_has_a_limit_of_its_own(stub: Stub, make_client: MakeClient, tmp_path: Path, *, packed: bool) -> None:
    """Results are large by nature, and are held against what was uploaded; nothing of such a file stays."""
    rows = b"a,b\n" * 25_000
    headers = {"Content-Type": "text/csv"} | ({"Content-Encoding": "gzip"} if packed else {})
    stub.script = lambda _got: Say(200, gzip.compress(rows) if packed else rows, headers)
    client = make_client(max_reply=1000)
    call = results(JOB, ResultKind.FAILED, most=99_999)
    with pytest.raises(ReplyTooLargeError, match="failedResults"):
        client.download(call, tmp_path / "rows.csv")
    assert list(tmp_path.iterdir()) == []
    client.download(results(JOB, ResultKind.FAILED, most=100_000), tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_bytes() == rows


def test_a_slow_but_steady_answer_is_read(stub: Stub, make_client: MakeClient) -> None:
    """A thin line is no attack: what counts is the pace on the whole."""

    def steady() -> Iterator[bytes]:
        yield OK + b"Content-Length: 60001\r\n\r\n"
        for _ in range(20):
            time.sleep(0.1)
            yield b" " * 3000
        yield b"1"

    stub.script = lambda _got: Say(raw=steady())
    assert make_client(timeout=0.5, slowest=10_000.0).send(Call(method="GET", path="limits")).body == 1


@pytest.mark.parametrize(
    "place", [b"https://\x1b[2Jx", b"http://[::1", b"\xff\xfe", b"", b"x" * 60_000, b"//elsewhere.example"]
)
def test_a_redirect_to_nowhere_is_no_redirect(stub: Stub, make_client: MakeClient, place: bytes) -> None:
    """Of a write it is as plain that it was not carried out as with a redirect that leads somewhere."""
    stub.script = lambda _got: Say(
        raw=[b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n"]
    )
    client = make_client()
    with pytest.raises(WrongHostError, match="was answered with a redirect"):
        client.send(Call(method="PATCH", path="composite/sobjects", body={}, write=True))
    assert client.session.get(f"{stub.url}/services/data/", timeout=30).status_code == 302
    assert len(stub.requests) == 2


@pytest.mark.parametrize("status", [101, 304, 599, 999])
def test_odd_statuses_end_well(stub: Stub, make_client: MakeClient, status: int) -> None:
    """A status that no table knows is no reason to fall over."""
    stub.script = lambda _got: Say(raw=[b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % status])
    client = make_client(retries=Retries(attempts=1))
    if status < 500:
        assert client.send(Call(method="GET", path="limits")).status == status
    else:
        with pytest.raises(ServiceUnavailableError):
            client.send(Call(method="GET", path="limits"))
