"""Send one page of records and find out, for each of them, what became of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from airflow_provider_sfleads.core.collections import Cure, PageKind, Verdict, verdicts_of
from airflow_provider_sfleads.core.mapping import Record
from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.core.replies import ApiError, errors_of, refusal
from airflow_provider_sfleads.core.wire import Reply, Send
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    OutcomeUnknownError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)

# A lock is held for seconds; five tries with growing pauses outlast most, and the task's own retry the rest.
MAX_REPEATS = 5
# The transport has repeated what it may; a page it may not repeat is given up alone, but not one after another.
MAX_UNKNOWN = 3
_SHRINK = 4
_BAD_REQUEST = 400
_TOO_LARGE = 413


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent:
    """A record that was not written, or of which that is not known, through no fault of its own."""

    reason: Reason
    code: str | None = None
    message: str | None = None


Result = Verdict | Unsent


@dataclass(slots=True, kw_only=True)
class Delivery:
    """What became of a page.

    :param results: one for each record, by position.
    :param batches: number of the request that settled it, by position.
    :param stop: why no further page can be sent.
    """

    results: list[Result]
    batches: list[str | None]
    stop: SalesforceLeadsError | None = None


def reason_for(stop: SalesforceLeadsError) -> Reason:
    """Why rows stay unsent after a run was stopped."""
    if isinstance(stop, ApiLimitError):
        return Reason.API_USAGE_LIMIT
    if isinstance(stop, ServiceUnavailableError | ConnectionFailedError):
        return Reason.TRY_AGAIN
    return Reason.STOPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    positions: tuple[int, ...]
    repeats: int = 0


@dataclass(slots=True, kw_only=True)
class PageSender:
    """Delivers pages; one instance serves all threads of a sync.

    :param send: the transport.
    :param pause: waits before a record is sent again; takes the number of repeats so far.
    :param number: the next request's number, for the results.
    :param conn_id: the connection that errors name.
    """

    send: Send
    pause: Callable[[int], None]
    number: Callable[[], str]
    conn_id: str
    # Salesforce refuses a field by its name, whatever its value: rows with the same fields need not be tried.
    _refused_fields: dict[frozenset[str], ApiError] = field(default_factory=dict)
    _unknown: int = 0

    def deliver(self, kind: PageKind, records: Sequence[Record]) -> Delivery:
        """Send records until each has a result.

        Records that fail for a passing reason are sent again alone, in smaller pages, a bounded number of
        times. A page that is refused as a whole is halved until the record that caused it stands alone, so
        that its neighbours go through.
        """
        nothing = Unsent(reason=Reason.STOPPED)
        delivery = Delivery(results=[nothing] * len(records), batches=[None] * len(records))
        work = deque([_Work(positions=tuple(range(len(records))))])
        while work:
            piece = work.popleft()
            if delivery.stop is None:
                work.extendleft(reversed(self._step(kind, records, piece, delivery)))
            else:
                _set(delivery, piece, Unsent(reason=reason_for(delivery.stop)))
        return delivery

    def _step(self, kind: PageKind, records: Sequence[Record], piece: _Work, delivery: Delivery) -> list[_Work]:
        piece = self._without_known_refusals(records, piece, delivery)
        if not piece.positions:
            return []
        if piece.repeats:
            self.pause(piece.repeats)
        number = self.number()
        for position in piece.positions:
            delivery.batches[position] = number
        try:
            return self._try(kind, records, piece, delivery)
        except OutcomeUnknownError as error:
            self._unknown += 1
            if kind.repeatable or self._unknown >= MAX_UNKNOWN:
                delivery.stop = error
            _set(delivery, piece, Unsent(reason=Reason.OUTCOME_UNKNOWN, message=str(error)))
        except SalesforceLeadsError as error:
            delivery.stop = error
            _set(delivery, piece, Unsent(reason=reason_for(error), message=str(error)))
        return []

    def _try(self, kind: PageKind, records: Sequence[Record], piece: _Work, delivery: Delivery) -> list[_Work]:
        call = kind.call([records[position] for position in piece.positions])
        reply = self.send(call)
        if reply.status in (_BAD_REQUEST, _TOO_LARGE):
            return self._refused(records, piece, reply, delivery)
        if not reply.taken:
            raise refusal(call, reply, conn_id=self.conn_id)
        return self._read(piece, verdicts_of(reply, len(piece.positions)), delivery)

    def _read(self, piece: _Work, verdicts: Sequence[Verdict], delivery: Delivery) -> list[_Work]:
        again: list[int] = []
        for position, verdict in zip(piece.positions, verdicts, strict=True):
            if verdict.cure is Cure.REPEAT and piece.repeats < MAX_REPEATS:
                again.append(position)
            else:
                delivery.results[position] = _final(verdict)
        size = max(1, len(piece.positions) // _SHRINK)
        return [_Work(positions=part, repeats=piece.repeats + 1) for part in _batched(again, size)]

    def _refused(self, records: Sequence[Record], piece: _Work, reply: Reply, delivery: Delivery) -> list[_Work]:
        if len(piece.positions) > 1:
            half = (len(piece.positions) + 1) // 2
            return [_Work(positions=piece.positions[:half]), _Work(positions=piece.positions[half:])]
        (position,) = piece.positions
        unnamed = ApiError("UNKNOWN_EXCEPTION", f"HTTP {reply.status} without a reason")
        error = next(iter(errors_of(reply)), unnamed)
        if error.code == "INVALID_FIELD":
            self._refused_fields[frozenset(records[position])] = error
        delivery.results[position] = _final(Verdict(error=error))
        return []

    def _without_known_refusals(self, records: Sequence[Record], piece: _Work, delivery: Delivery) -> _Work:
        if not self._refused_fields:
            return piece
        open_positions: list[int] = []
        for position in piece.positions:
            error = self._refused_fields.get(frozenset(records[position]))
            if error is None:
                open_positions.append(position)
            else:
                delivery.results[position] = Verdict(error=error)
        return _Work(positions=tuple(open_positions), repeats=piece.repeats)


def _final(verdict: Verdict) -> Result:
    """What stands once a record is not sent again: a reason of the moment is not the record's own fault."""
    if verdict.error is None or verdict.cure is Cure.NONE:
        return verdict
    return Unsent(reason=Reason.TRY_AGAIN, code=verdict.error.code, message=verdict.error.message)


def _set(delivery: Delivery, piece: _Work, result: Result) -> None:
    for position in piece.positions:
        delivery.results[position] = result


def _batched(positions: list[int], size: int) -> list[tuple[int, ...]]:
    return [tuple(positions[start : start + size]) for start in range(0, len(positions), size)]
