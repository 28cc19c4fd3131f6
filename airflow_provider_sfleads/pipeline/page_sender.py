"""Send one page of records and find out, for each of them, what became of it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.exceptions import (
    ConcurrencyLimitError,
    ConnectionFailedError,
    OutcomeUnknownError,
    RequestRefusedError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.pipeline.plan import Overtaken, Result, Unsent, reason_for
from airflow_provider_sfleads.salesforce.collections import PageKind, SaveResult, nothing_written, save_results_of
from airflow_provider_sfleads.salesforce.error_codes import Meaning
from airflow_provider_sfleads.salesforce.replies import ApiError, errors_of, refusal
from airflow_provider_sfleads.salesforce.wire import Call, Record, Reply, Send

# What part of a page goes into one request, round by round: records that fail for a passing reason are sent again
# apart from the rest and in ever smaller pages. A lock is held for seconds, so the pauses between outlast most.
ROUNDS = (1, 4, 8, 20, 20, 20)
# The transport has repeated what it may; a page it may not repeat is given up alone, but not one after another.
MAX_UNKNOWN = 3
# So many records of one page refused alone, and all for one reason, are no coincidence.
MANY = 20
_BAD_REQUEST = 400
_TOO_LARGE = 413
_NO_COLUMN = re.compile(r"No such column '(\w+)'")


Recheck = Callable[[Sequence[int], Collection[int]], Mapping[int, Overtaken | Unsent]]
"""Reads leads anew before their records are sent again: the positions not to send, and what is known of them.

It takes the positions to send, and which records got no answer before.
"""


Announce = Callable[[Sequence[int]], None]
"""Makes durable that the records at some positions may be sent from now on."""


def nothing_changed(_positions: Sequence[int], _unanswered: Collection[int]) -> Mapping[int, Overtaken]:
    """Return the :data:`Recheck` of records that may be sent again whatever became of their leads."""
    return {}


@dataclass(slots=True, kw_only=True)
class PageReply:
    """What became of a page.

    :param results: one for each record, by position.
    :param batches: number of the request that settled it, by position; ``None`` where none was sent.
    :param unanswered: positions of those that a request without an answer carried, whatever came after it.
    :param stop: why no further page can be sent.
    """

    results: list[Result]
    batches: list[str | None]
    unanswered: set[int] = field(default_factory=set)
    stop: SalesforceLeadsError | None = None


@dataclass(slots=True, kw_only=True)
class PageSender:
    """Delivers pages; one instance serves all threads of a sync.

    :param send: the transport.
    :param pause: waits before records are sent again; takes the number of rounds so far, and the seconds that
        Salesforce asks to wait.
    :param stopped: whether the run is to end.
    :param number: the next request's number, for the results.
    :param conn_id: the connection that errors name.
    """

    send: Send
    pause: Callable[[int, float], None]
    stopped: Callable[[], bool]
    number: Callable[[], str]
    conn_id: str
    # A column that is missing is missing for every record: the next ones that have it need not be tried.
    _missing_columns: dict[str, ApiError] = field(default_factory=dict)
    _unknown: int = 0

    def send_page(
        self,
        kind: PageKind,
        records: Sequence[Record],
        recheck: Recheck = nothing_changed,
        *,
        recheck_first: bool = False,
        announce: Announce | None = None,
    ) -> PageReply:
        """Send records until each has a result.

        Records that fail for a passing reason are sent again alone. A page that is refused as a whole is halved
        until the record that caused it stands alone, so that its neighbours go through.

        :param recheck: reads the leads anew before records are sent again.
        :param recheck_first: also before they are sent the first time.
        :param announce: told of records right before each sending.
        """
        return _PageAttempts(self, kind, records, recheck, announce).send_page(recheck_first=recheck_first)

    def known_refusal(self, record: Record) -> ApiError | None:
        """Return the error that a record is sure to meet, from what others met before."""
        for name in self._missing_columns.keys() & record.keys():
            return self._missing_columns[name]
        return None

    def note_refusal(self, record: Record, error: ApiError) -> None:
        """Remember a column that is missing."""
        named = _NO_COLUMN.search(error.message) if error.code == "INVALID_FIELD" else None
        if named and named[1] in record:
            self._missing_columns[named[1]] = error

    def note_unknown(self) -> bool:
        """Count a page of unknown outcome; whether there were too many to go on."""
        self._unknown += 1
        return self._unknown >= MAX_UNKNOWN


@dataclass(slots=True)
class _PageAttempts:
    """One page under way."""

    sender: PageSender
    kind: PageKind
    records: Sequence[Record]
    recheck: Recheck
    announce: Announce | None
    answer: PageReply = field(init=False)
    again: list[int] = field(default_factory=list)
    whole: list[tuple[int, ...]] = field(default_factory=list)
    halt: SalesforceLeadsError | None = None
    refused: int = 0

    @property
    def unanswered(self) -> set[int]:
        return self.answer.unanswered

    def send_page(self, *, recheck_first: bool) -> PageReply:
        size = len(self.records)
        self.answer = PageReply(results=[Unsent(reason=Reason.STOPPED)] * size, batches=[None] * size)
        self.whole = [tuple(range(size))]
        for round_, part in enumerate(ROUNDS):
            if not (self.again or self.whole) or self.answer.stop is not None:
                break
            single, whole, halt = tuple(self.again), self.whole, self.halt
            self.again, self.whole, self.halt = [], [], None
            if round_:
                self.sender.pause(round_, (halt.retry_after if halt else None) or 0.0)
            if round_ or recheck_first:
                single, *whole = self._rechecked([single, *whole])
            self._send(deque([*whole, *_batched(single, max(1, -(-size // part)))]))
        self.answer.stop = self.answer.stop or self.halt
        self._notice_that_all_is_refused()
        return self.answer

    def _rechecked(self, pieces: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        positions = [position for piece in pieces for position in piece]
        try:
            overtaken = self.recheck(positions, self.unanswered)
        except SalesforceLeadsError as error:
            self._stop(positions, error)
            return [()]
        for position, result in overtaken.items():
            self.answer.results[position] = result
        return [tuple(position for position in piece if position not in overtaken) for piece in pieces]

    def _send(self, pieces: deque[tuple[int, ...]]) -> None:
        while pieces:
            piece = self._worth_trying(pieces.popleft())
            if not piece:
                continue
            if self.answer.stop is not None:
                self._leave(piece, reason_for(self.answer.stop))
            elif self.sender.stopped():
                self._leave(piece, Reason.STOPPED)
            elif self._try(piece) is _HALVE:
                half = (len(piece) + 1) // 2
                pieces.extendleft((piece[half:], piece[:half]))

    def _worth_trying(self, piece: tuple[int, ...]) -> tuple[int, ...]:
        hopeless = {position: self.sender.known_refusal(self.records[position]) for position in piece}
        for position, error in hopeless.items():
            if error is not None:
                self.answer.results[position] = SaveResult(error=error)
        return tuple(position for position in piece if hopeless[position] is None)

    def _try(self, piece: tuple[int, ...]) -> object:
        number = self.sender.number()
        call = self.kind.call([self.records[position] for position in piece])
        if self.announce is not None:
            call = replace(call, announce=partial(self.announce, piece))
        try:
            reply = self.sender.send(call)
            self._number(piece, number)
            return self._read(piece, call, reply)
        except OutcomeUnknownError as error:
            self._number(piece, number)
            self.unanswered.update(piece)
            self._leave(piece, Reason.OUTCOME_UNKNOWN, message=str(error))
            if self.kind.once and self.kind.repeatable:
                self._later(piece, error)
            elif self.sender.note_unknown() or self.kind.repeatable:
                self.answer.stop = error
        except (ServiceUnavailableError, ConnectionFailedError, ConcurrencyLimitError) as error:
            self._stop(piece, error)
            if self.kind.once:
                self._later(piece, error)
        except SalesforceLeadsError as error:
            self._stop(piece, error)
        return None

    def _later(self, piece: tuple[int, ...], error: SalesforceLeadsError) -> None:
        """Send a page again as it was, in the next round; where there is none left, the error ends the run."""
        self.answer.stop = None
        self.halt = error
        self.whole.append(piece)

    def _read(self, piece: tuple[int, ...], call: Call, reply: Reply) -> object:
        if reply.repeated:
            self.unanswered.update(piece)
        if reply.status in (_BAD_REQUEST, _TOO_LARGE):
            if len(piece) > 1:
                return _HALVE
            self._refuse(piece[0], reply)
            return None
        if not reply.taken:
            raise refusal(call, reply, conn_id=self.sender.conn_id)
        for position, result in zip(piece, save_results_of(reply, len(piece)), strict=True):
            self._judge(position, result)
        return None

    def _judge(self, position: int, result: SaveResult) -> None:
        error = result.error
        self.answer.results[position] = result
        if error is None or not result.is_open:
            return
        self.answer.results[position] = Unsent(reason=Reason.TRY_AGAIN, code=error.code, message=error.message)
        if result.meaning is Meaning.SENT_AGAIN:
            self.again.append(position)
        elif result.meaning is Meaning.ENDS_RUN:
            self.answer.stop = nothing_written(error, conn_id=self.sender.conn_id)

    def _refuse(self, position: int, reply: Reply) -> None:
        unnamed = ApiError("UNKNOWN_EXCEPTION", f"HTTP {reply.status} without a reason")
        error = next(iter(errors_of(reply)), unnamed)
        self.sender.note_refusal(self.records[position], error)
        self.refused += 1
        self._judge(position, SaveResult(error=error))

    def _notice_that_all_is_refused(self) -> None:
        """Stop where each record of a page was refused for one reason: the next page would fare no better."""
        results = self.answer.results
        errors = {
            result.error.code: result.error for result in results if isinstance(result, SaveResult) and result.error
        }
        if self.refused >= MANY and self.refused == len(results) and len(errors) == 1:
            ((code, error),) = errors.items()
            self.answer.stop = self.answer.stop or RequestRefusedError(
                f"Salesforce refuses every record with {code} (connection {self.sender.conn_id!r}); see error_message "
                f"in the results. {error.entry.advice}".rstrip(),
                status=_BAD_REQUEST,
                codes=(code,),
            )

    def _number(self, piece: tuple[int, ...], number: str) -> None:
        for position in piece:
            self.answer.batches[position] = number

    def _stop(self, positions: Sequence[int], error: SalesforceLeadsError) -> None:
        self.answer.stop = error
        self._leave(positions, reason_for(error), message=str(error))

    def _leave(self, positions: Sequence[int], reason: Reason, message: str | None = None) -> None:
        for position in positions:
            self.answer.results[position] = Unsent(reason=reason, message=message)


_HALVE = object()


def _batched(positions: Sequence[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(positions[start : start + size]) for start in range(0, len(positions), size)]
