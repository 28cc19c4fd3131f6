"""Prepare a request, and follow it over all its attempts: what a response means for it. No sockets here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_sfleads import __version__
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    OutcomeUnknownError,
    ReplyTooLargeError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.salesforce.body import decode, encode
from airflow_provider_sfleads.salesforce.error_codes import AN_HOUR
from airflow_provider_sfleads.salesforce.replies import call_name
from airflow_provider_sfleads.salesforce.response_policy import Renew, TryAgain, decide
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.wire import (
    ApiUsage,
    Call,
    FileBody,
    NoResponse,
    RawResponse,
    Reply,
    parse_retry_after,
    query_of,
)

CLIENT_NAME = f"airflow-provider-sfleads/{__version__}"
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip",
    "User-Agent": CLIENT_NAME,
    "Connection": "keep-alive",
}
_VERSIONS = "/services/data"
# Tokens that others use up, or that expire just then, are no reason to give a call up; one that no token helps is.
_MOST_RENEWALS = 3
# Resources whose documentation lists Sforce-Call-Options; collections are not among them.
_NAMED = ("sobjects/", "query", "queryAll", "jobs/")

Decision = Reply | Renew | TryAgain | SalesforceLeadsError


@dataclass(slots=True, kw_only=True)
class Request:
    """One call, made ready to be sent.

    :param path: host-relative.
    :param data: the body, or the file that holds it.
    :param into: the file that a CSV answer goes into.
    :param timeout: seconds; ``None`` for the connection's own.
    :param renewals: how many tokens were renewed for it.
    :param may_be_done: whether an attempt so far may have been carried out.
    """

    call: Call
    settings: Settings
    path: str
    headers: dict[str, str]
    data: bytes | Path | None = field(repr=False)
    into: Path | None = None
    timeout: float | None = None
    renewals: int = 0
    may_be_done: bool = False

    @property
    def target(self) -> str:
        """The path with the query, as it goes out."""
        return self.path + query_of(self.call.params)

    @property
    def counts_as_api_call(self) -> bool:
        """Whether the call counts against the org's allowance."""
        return self.path.rstrip("/") != _VERSIONS

    def may_renew(self) -> bool:
        """Return whether one more token may be tried.

        Safe for every call, for one with a refused token was not begun.
        """
        self.renewals += 1
        return self.renewals <= _MOST_RENEWALS

    @property
    def _what(self) -> str:
        return f"{call_name(self.call)} (connection {self.settings.conn_id!r})"

    def check_usage(self, usage: ApiUsage | None) -> None:
        """Hold back a write where the org's requests are used up as far as the connection lets them be.

        :raises ApiLimitError: in that case.
        """
        limit = self.settings.max_api_usage
        if self.call.write and usage is not None and usage.share > limit:
            error = ApiLimitError(
                f"The org has used {usage.used} of its {usage.max} API requests of the last 24 hours, more than "
                f"max_api_usage {limit:g} of connection {self.settings.conn_id!r}; {call_name(self.call)} was not "
                "sent. The share comes down bit by bit: retry in an hour or more, or raise max_api_usage."
            )
            error.retry_after = AN_HOUR
            raise error

    def judge(self, found: RawResponse | NoResponse, *, host: str, now: float) -> Decision:
        """Return what an attempt comes to: the reply, or what may help, or the error that nothing helps against.

        :param host: where it went.
        :param now: seconds since the epoch.
        """
        if isinstance(found, NoResponse):
            return self._unanswered(found, host)
        body, readable = decode(found.content or b"", found.headers.get("content-type", ""))
        # What was to go into a file and did not is no CSV: an error, or a page that a proxy made up.
        expected = self.into is None or found.content is None or found.status >= 300  # noqa: PLR2004
        reply = Reply(status=found.status, body=body, headers=found.headers, repeated=self.may_be_done)
        wait = parse_retry_after(found.headers.get("retry-after"), now=now)
        return decide(self.call, reply, self.settings, readable=readable and expected, wait=wait) or reply

    def _unanswered(self, failure: NoResponse, host: str) -> TryAgain | ReplyTooLargeError:
        if not failure.sent:
            text = (
                f"{self._what} did not reach {host}: {failure.reason}. Check the network and proxies, then try again."
            )
            return TryAgain(ConnectionFailedError(text), ambiguous=False)
        if failure.kind == "too_large":
            self.may_be_done = True
            return ReplyTooLargeError(
                f"{self._what} was answered, but not read: {failure.reason}. That is no answer of Salesforce; check "
                "what stands between, or ask for fewer records or fields at once."
            )
        text = (
            f"{self._what} was sent and not answered: {failure.reason}. Try again later; if it comes back, raise "
            "timeout or lower batch_size."
        )
        return TryAgain(ServiceUnavailableError(text), ambiguous=True)

    def settle(self, decision: Reply | TryAgain | SalesforceLeadsError) -> Reply:
        """Return the reply.

        :raises TryAgain: where sending again may help, and is safe.
        :raises SalesforceLeadsError: where it does not help, or is not safe.
        """
        if isinstance(decision, Reply):
            return decision
        if isinstance(decision, SalesforceLeadsError):
            raise decision
        # A caller who tries again has a backoff of its own, which heeds what Salesforce asks for and not our guesses.
        if decision.retry_after is not None or self.call.once:
            decision.error.retry_after = decision.retry_after
        if decision.ambiguous and not self.call.repeatable:
            raise self._unknown(decision.error)
        self.may_be_done = self.may_be_done or decision.ambiguous
        raise decision

    def final_error(self, error: SalesforceLeadsError) -> SalesforceLeadsError:
        """Return the error to raise when no further attempt is made."""
        if self.may_be_done and self.call.write and not isinstance(error, OutcomeUnknownError):
            return self._unknown(error)
        return error

    def _unknown(self, error: SalesforceLeadsError) -> OutcomeUnknownError:
        unknown = OutcomeUnknownError(
            f"{self._what} was sent, and whether Salesforce carried it out is not known. Look the records up before "
            f"sending them again; it may still take effect for 10 minutes. Last word: {error}"
        )
        unknown.retry_after = error.retry_after
        return unknown


def prepare(call: Call, settings: Settings, *, timeout: float | None = None, into: Path | None = None) -> Request:
    """Make a call ready to be sent.

    :raises ParameterError: where JSON cannot carry its body.
    """
    version = f"{_VERSIONS}/v{settings.api_version}/"
    path = call.path if call.path.startswith("/") else version + call.path
    headers = dict(call.headers)
    if path.removeprefix(version).startswith(_NAMED):
        headers.setdefault("Sforce-Call-Options", f"client={CLIENT_NAME}")
    data: bytes | Path | None = None
    if isinstance(call.body, FileBody):
        data = call.body.path
        headers.setdefault("Content-Type", call.body.content_type)
    elif call.body is not None:
        data, content_type = encode(call.body)
        headers.setdefault("Content-Type", content_type)
    return Request(call=call, settings=settings, path=path, headers=headers, data=data, into=into, timeout=timeout)
