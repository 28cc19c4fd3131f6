"""A page is delivered: every record gets a result, whatever the replies are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    OutcomeUnknownError,
    RequestRefusedError,
    SalesforceLeadsError,
    ServiceUnavailableError,
    SessionRejectedError,
)
from airflow_provider_sfleads.pipeline.page_sender import MAX_UNKNOWN, ROUNDS, PageReply, PageSender
from airflow_provider_sfleads.pipeline.plan import Unsent, reason_for
from airflow_provider_sfleads.salesforce.collections import PageKind, SaveResult
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.pipeline.org import lead_id

INSERT = PageKind(operation="insert")
ONCE = PageKind(operation="insert", repeatable=False)
LOCKED = {"success": False, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "locked"}]}
BAD_REQUEST = Reply(status=400, body=[{"errorCode": "JSON_PARSER_ERROR", "message": "Cannot deserialize"}])

Answer = Callable[[list[dict[str, Any]]], Reply]


def fine(number: int) -> dict[str, object]:
    """Return the line of a record that was written."""
    return {"id": lead_id(number), "success": True, "errors": []}


def records(count: int) -> list[dict[str, Any]]:
    """Return records that say which they are."""
    return [{"LastName": str(number)} for number in range(count)]


def all_fine(sent: list[dict[str, Any]]) -> Reply:
    """Write every record; its id says which it is."""
    return Reply(status=200, body=[fine(int(record["LastName"])) for record in sent])


class Line:
    """Answers calls in turn, and then as if all were well; keeps what was sent and how long was waited."""

    def __init__(self, *answers: Answer | Reply | SalesforceLeadsError, then: Answer = all_fine) -> None:
        self.answers = list(answers)
        self.then = then
        self.sent: list[list[dict[str, Any]]] = []
        self.pauses: list[int] = []

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        assert isinstance(call.body, dict)
        page = call.body["records"]
        self.sent.append(page)
        answer = self.answers.pop(0) if self.answers else self.then
        if isinstance(answer, SalesforceLeadsError):
            raise answer
        return answer if isinstance(answer, Reply) else answer(page)

    def sender(self) -> PageSender:
        """A sender over this line; requests are numbered from 1."""
        return PageSender(
            send=self,
            pause=lambda rounds, _asked: self.pauses.append(rounds),
            stopped=lambda: False,
            number=lambda: str(len(self.sent) + 1),
            conn_id="sf",
        )

    def deliver(self, page: Sequence[dict[str, Any]], kind: PageKind = INSERT) -> PageReply:
        """Deliver one page."""
        return self.sender().send_page(kind, page)

    def sizes(self) -> list[int]:
        """How many records each request had."""
        return [len(page) for page in self.sent]


def ids(delivery: PageReply) -> list[str | None]:
    """Return the ids written, by position; no result may be left out."""
    return [result.id if isinstance(result, SaveResult) else None for result in delivery.results]


def codes(delivery: PageReply) -> list[str | None]:
    """Return the error codes, by position."""
    return [
        result.error.code if isinstance(result, SaveResult) and result.error else None for result in delivery.results
    ]


def reasons(delivery: PageReply) -> list[Reason | None]:
    """Return why records are unsent, by position."""
    return [result.reason if isinstance(result, Unsent) else None for result in delivery.results]


def fields_refused(bad: Callable[[dict[str, Any]], bool], reply: Reply = BAD_REQUEST) -> Answer:
    """Refuse every page that has such a record as a whole."""
    return lambda sent: reply if any(map(bad, sent)) else all_fine(sent)


def test_results_by_position() -> None:
    """Each record has the result that stands at its place, and nothing else counts."""

    def mixed(sent: list[dict[str, Any]]) -> Reply:
        body: list[dict[str, object]] = [fine(int(record["LastName"])) for record in sent]
        body[1] = {"id": lead_id(77), "success": False, "created": True, "errors": [{"statusCode": "X", "message": ""}]}
        body[2] = {"success": False, "errors": [{"statusCode": "Y", "message": ""}]}
        body[3] = {"id": None, "success": False, "created": None, "errors": []}
        return Reply(status=200, body=body)

    line = Line(mixed)
    delivery = line.deliver(records(5))
    assert ids(delivery) == [lead_id(0), None, None, None, lead_id(4)]
    assert codes(delivery) == [None, "X", "Y", "UNKNOWN_EXCEPTION", None]
    assert delivery.batches == ["1"] * 5
    assert delivery.stop is None


def test_an_empty_page() -> None:
    """No record, no request."""
    line = Line()
    assert line.deliver([]).results == []
    assert line.sent == []


def test_locked_records_are_sent_again_alone() -> None:
    """Only the records that were locked go again, after a pause, in smaller pages; the rest is done."""

    def some_locked(sent: list[dict[str, Any]]) -> Reply:
        return Reply(status=200, body=[LOCKED if n in (3, 7) else fine(n) for n in range(len(sent))])

    line = Line(some_locked)
    delivery = line.deliver(records(20))
    assert ids(delivery) == [lead_id(n) for n in range(20)]
    assert line.sizes() == [20, 2]
    assert [record["LastName"] for record in line.sent[1]] == ["3", "7"]
    assert line.pauses == [1]
    assert [delivery.batches[n] for n in (0, 3, 7)] == ["1", "2", "2"]


def test_rolled_back_records_are_sent_again() -> None:
    """An innocent record that was rolled back, even with an id beside, is not written and goes again."""
    rolled = {"id": lead_id(9), "success": False, "errors": [{"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK"}]}
    delivery = Line(Reply(status=200, body=[rolled, rolled])).deliver(records(2))
    assert ids(delivery) == [lead_id(0), lead_id(1)]


def test_locks_that_last() -> None:
    """A record that stays locked is left to a later try after a bounded number of sendings."""
    line = Line(then=lambda sent: Reply(status=200, body=[LOCKED] * len(sent)))
    delivery = line.deliver(records(1))
    assert line.sizes() == [1] * (len(ROUNDS))
    assert line.pauses == [1, 2, 3, 4, 5]
    assert delivery.results == [Unsent(reason=Reason.TRY_AGAIN, code="UNABLE_TO_LOCK_ROW", message="locked")]
    assert delivery.stop is None


def test_an_error_of_the_hour_is_not_repeated() -> None:
    """During maintenance a record waits for the task's retry."""
    error = {"statusCode": "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "message": "later"}
    line = Line(Reply(status=200, body=[{"success": False, "errors": [error]}]))
    assert reasons(line.deliver(records(1))) == [Reason.TRY_AGAIN]
    assert len(line.sent) == 1


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_refused_page_costs_only_its_bad_records(data: st.DataObject) -> None:
    """Wherever the records stand that a whole page is refused for, their neighbours go through, each once."""
    count = data.draw(st.integers(1, 60))
    bad = {str(n) for n in data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=3))}
    line = Line(then=fields_refused(lambda record: record["LastName"] in bad))
    delivery = line.deliver(records(count))
    for n in range(count):
        assert codes(delivery)[n] == ("JSON_PARSER_ERROR" if str(n) in bad else None)
        assert ids(delivery)[n] == (None if str(n) in bad else lead_id(n))
    written = Counter(
        record["LastName"] for page in line.sent if bad.isdisjoint(r["LastName"] for r in page) for record in page
    )
    assert set(written.values()) <= {1}
    assert len(line.sent) <= 1 + 2 * len(bad) * (count.bit_length() + 1)


@pytest.mark.parametrize("count", [1, 2, 3, 200])
def test_every_position_of_one_bad_record(count: int) -> None:
    """The first, the middle and the last record may be the bad one."""
    for bad in {0, count // 2, count - 1}:
        line = Line(then=fields_refused(lambda record, bad=bad: record["LastName"] == str(bad)))  # type: ignore[misc]
        delivery = line.deliver(records(count))
        assert [n for n, code in enumerate(codes(delivery)) if code] == [bad]


def test_a_page_that_is_too_large_is_halved() -> None:
    """A page of more bytes than Salesforce takes is sent in parts."""
    line = Line(then=lambda sent: all_fine(sent) if len(sent) < 4 else Reply(status=413))
    assert ids(line.deliver(records(10))) == [lead_id(n) for n in range(10)]


def test_a_record_that_is_too_large() -> None:
    """A record that is refused without a word is rejected with the status at least."""
    delivery = Line(then=lambda _sent: Reply(status=413)).deliver(records(1))
    assert codes(delivery) == ["UNKNOWN_EXCEPTION"]
    (result,) = delivery.results
    assert isinstance(result, SaveResult)
    assert result.error is not None
    assert "413" in result.error.message


NO_FIELD = Reply(status=400, body=[{"errorCode": "INVALID_FIELD", "message": "No such column 'X__c'"}])


def test_an_unknown_field_is_found_once() -> None:
    """Records with the same fields as one that was refused for a field are not tried again, in later pages neither."""
    page = [{"LastName": str(n)} | ({"X__c": 1} if n % 2 else {}) for n in range(64)]
    line = Line(then=fields_refused(lambda record: "X__c" in record, NO_FIELD))
    sender = line.sender()
    delivery = sender.send_page(INSERT, page)
    assert codes(delivery) == [("INVALID_FIELD" if n % 2 else None) for n in range(64)]
    first = len(line.sent)
    assert first <= 16
    delivery = sender.send_page(INSERT, page)
    assert codes(delivery) == [("INVALID_FIELD" if n % 2 else None) for n in range(64)]
    assert line.sizes()[first:] == [32]


def test_a_page_of_nothing_but_known_refusals_is_not_sent() -> None:
    """Where all records have a field that Salesforce does not know, nothing is sent any more."""
    line = Line(then=lambda _sent: NO_FIELD)
    sender = line.sender()
    page = [record | {"X__c": 1} for record in records(8)]
    sender.send_page(INSERT, page)
    before = len(line.sent)
    delivery = sender.send_page(INSERT, page)
    assert codes(delivery) == ["INVALID_FIELD"] * 8
    assert len(line.sent) == before


def test_an_unknown_outcome_of_a_repeatable_page_stops() -> None:
    """The transport has repeated the page already, so this goes deeper: the run ends."""
    line = Line(OutcomeUnknownError("lost"))
    delivery = line.deliver(records(3))
    assert reasons(delivery) == [Reason.OUTCOME_UNKNOWN] * 3
    assert isinstance(delivery.stop, OutcomeUnknownError)


def test_an_unknown_outcome_of_another_page_is_borne_twice() -> None:
    """A page that may not be repeated is given up alone; the third in a run ends it."""
    line = Line(*[OutcomeUnknownError("lost")] * MAX_UNKNOWN)
    sender = line.sender()
    deliveries = [sender.send_page(ONCE, records(2)) for _ in range(MAX_UNKNOWN)]
    assert [reasons(delivery) for delivery in deliveries] == [[Reason.OUTCOME_UNKNOWN] * 2] * MAX_UNKNOWN
    assert [delivery.stop is None for delivery in deliveries] == [True, True, False]


@pytest.mark.parametrize("body", [[fine(0)], [fine(0)] * 4, "done", None, {"records": []}, [1, 2, 3], [[], [], []]])
def test_replies_that_match_no_record(body: object) -> None:
    """A reply that is short, long or garbled leaves every record's outcome unknown; none is guessed."""
    delivery = Line(Reply(status=200, body=body)).deliver(records(3))
    assert reasons(delivery) == [Reason.OUTCOME_UNKNOWN] * 3


def test_a_limit_in_the_middle() -> None:
    """What was written before the limit counts, what was not is left with the reason."""

    def last_locked(sent: list[dict[str, Any]]) -> Reply:
        lines = [fine(int(record["LastName"])) for record in sent[:-4]]
        return Reply(status=200, body=[*lines, *[LOCKED] * 4])

    line = Line(last_locked, all_fine, ApiLimitError("used up"))
    delivery = line.deliver(records(8))
    assert line.sizes() == [8, 2, 2]
    assert ids(delivery)[:6] == [lead_id(n) for n in range(6)]
    assert reasons(delivery)[6:] == [Reason.API_USAGE_LIMIT] * 2
    assert isinstance(delivery.stop, ApiLimitError)


def test_after_a_stop_nothing_is_sent() -> None:
    """The rest of a halved page stays unsent once the run is stopped."""
    line = Line(BAD_REQUEST, ServiceUnavailableError("down"))
    delivery = line.deliver(records(4))
    assert line.sizes() == [4, 2]
    assert reasons(delivery) == [Reason.TRY_AGAIN] * 4


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiLimitError(""), Reason.API_USAGE_LIMIT),
        (ServiceUnavailableError(""), Reason.TRY_AGAIN),
        (ConnectionFailedError(""), Reason.TRY_AGAIN),
        (SessionRejectedError(""), Reason.STOPPED),
        (RequestRefusedError("", status=403), Reason.STOPPED),
    ],
)
def test_errors_that_end_the_run(error: SalesforceLeadsError, reason: Reason) -> None:
    """An error of the transport becomes the reason of what is left."""
    delivery = Line(error).deliver(records(2))
    assert reasons(delivery) == [reason] * 2
    assert delivery.stop is error
    assert reason_for(error) is reason


@pytest.mark.parametrize("status", [300, 403, 404, 405, 415])
def test_other_refusals_end_the_run(status: int) -> None:
    """A page that is refused for what is no record's fault ends the run; nothing is rejected for it."""
    delivery = Line(Reply(status=status, body=[{"errorCode": "NOPE", "message": "x"}])).deliver(records(2))
    assert isinstance(delivery.stop, RequestRefusedError)
    assert delivery.stop.status == status
    assert reasons(delivery) == [Reason.STOPPED] * 2


def played(answers: Iterable[str]) -> Line:
    """Return a line that answers by words, and well when they are used up."""
    codebook: dict[str, Answer | Reply | SalesforceLeadsError] = {
        "ok": all_fine,
        "locked": lambda sent: Reply(status=200, body=[LOCKED] * len(sent)),
        "half": lambda sent: Reply(
            status=200, body=[LOCKED if n % 2 else fine(int(record["LastName"])) for n, record in enumerate(sent)]
        ),
        "400": BAD_REQUEST,
        "short": Reply(status=200, body=[]),
        "limit": ApiLimitError(""),
        "lost": OutcomeUnknownError(""),
        "down": ServiceUnavailableError(""),
    }
    return Line(*[codebook[word] for word in answers])


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 12),
    script=st.lists(st.sampled_from(["ok", "locked", "half", "400", "short", "limit", "lost", "down"]), max_size=12),
    kind=st.sampled_from([INSERT, ONCE]),
)
def test_any_schedule_of_replies(count: int, script: list[str], kind: PageKind) -> None:
    """Whatever the replies, each record has one result, its own id, and is not sent once its outcome is in doubt."""
    line = played(script)
    delivery = line.deliver(records(count), kind)
    assert len(delivery.results) == count
    for n, result in enumerate(delivery.results):
        if isinstance(result, SaveResult) and result.error is None:
            assert result.id == lead_id(n)
    doubtful: set[str] = set()
    for page, word in zip(line.sent, [*script, *["ok"] * len(line.sent)], strict=False):
        names = {record["LastName"] for record in page}
        assert doubtful.isdisjoint(names)
        doubtful |= names if word in ("lost", "short", "ok") else set()
    assert len(line.sent) < 40 * count


def test_a_doubt_outlasts_a_lock() -> None:
    """A record locked by its own earlier sending, and then found written, is that sending's doing."""
    duplicate = {"success": False, "errors": [{"statusCode": "DUPLICATE_VALUE", "message": "x"}]}
    line = Line(Reply(status=200, body=[LOCKED], repeated=True), Reply(status=200, body=[duplicate]))
    assert line.deliver(records(1)).unanswered == {0}


def test_locks_everywhere_cost_little() -> None:
    """Where every record of a full page stays locked, the sendings and pauses stay few."""
    line = Line(then=lambda sent: Reply(status=200, body=[LOCKED] * len(sent)))
    line.deliver(records(200))
    assert len(line.sent) == sum(ROUNDS)
    assert line.pauses == list(range(1, len(ROUNDS)))


def test_a_refusal_of_everything_is_noticed() -> None:
    """Where every record is refused alone for one reason, as for a wrong key field, no further page has to find out."""
    refused = Reply(status=400, body=[{"errorCode": "INVALID_EXTERNAL_ID_FIELD_NAME", "message": "x"}])
    line = Line(then=lambda _sent: refused)
    delivery = line.deliver(records(200))
    assert codes(delivery) == ["INVALID_EXTERNAL_ID_FIELD_NAME"] * 200
    assert isinstance(delivery.stop, RequestRefusedError)
    assert delivery.stop.codes == ("INVALID_EXTERNAL_ID_FIELD_NAME",)
    assert len(line.sent) == 399


def test_a_refusal_of_some_is_no_reason_to_stop() -> None:
    """Where one record goes through, or the reasons differ, the next page may fare better."""
    some = Line(then=fields_refused(lambda record: record["LastName"] != "3"))
    assert some.deliver(records(8)).stop is None

    def by_name(sent: list[dict[str, Any]]) -> Reply:
        code = "X" if sent[0]["LastName"] == "0" else "Y"
        return Reply(status=400, body=[{"errorCode": code, "message": "x"}])

    assert Line(then=by_name).deliver(records(8)).stop is None
    assert Line(BAD_REQUEST).deliver(records(1)).stop is None
