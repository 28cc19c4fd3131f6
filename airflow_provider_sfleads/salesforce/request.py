"""Prepare a request, and follow it over all its attempts: what a response means for it. No sockets here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from airflow_provider_sfleads import __version__
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    OutcomeUnknownError,
    ReplyTooLargeError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.salesforce.backoff import TryAgain
from airflow_provider_sfleads.salesforce.body import decode, encode
from airflow_provider_sfleads.salesforce.error_codes import AN_HOUR
from airflow_provider_sfleads.salesforce.limits import ApiUsage, parse_retry_after
from airflow_provider_sfleads.salesforce.network_errors import NoResponse
from airflow_provider_sfleads.salesforce.replies import call_name
from airflow_provider_sfleads.salesforce.response_policy import Again, Answer, Decision, Fail, Renew, judge
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.token_store import Token
from airflow_provider_sfleads.salesforce.wire import Call, FileBody, Reply

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


@dataclass(frozen=True, slots=True)
class RawResponse:
    """An HTTP response as it came.

    :param headers: names in lower case.
    :param content: the body; ``None`` where it went into a file.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes | None = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Request:
    """One call, made ready to be sent.

    :param path: host-relative.
    :param data: the body, or the file that holds it.
    :param into: the file that a CSV answer goes into.
    :param timeout: seconds; ``None`` for the connection's own.
    :param renewals: how many tokens were renewed for it.
    :param may_be_done: whether an attempt so far may have been carried out.
    :param verdict: on the newest response; ``None`` where there was none.
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
    decision: Decision | None = None

    @property
    def counts_as_api_call(self) -> bool:
        """Whether the call counts against the org's allowance."""
        return self.path.rstrip("/") != _VERSIONS

    @property
    def may_renew(self) -> bool:
        """Whether a newer token may still be tried."""
        return self.renewals < _MOST_RENEWALS

    @property
    def _what(self) -> str:
        return f"{call_name(self.call)} (connection {self.settings.conn_id!r})"

    def headers_with(self, token: Token) -> dict[str, str]:
        """Return the headers that go out."""
        return {**self.headers, "Authorization": f"Bearer {token.grant.access_token}"}

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

    def evaluate(self, response: RawResponse, *, now: float) -> Reply | Renew:
        """Return the reply, or that a new token is to be tried.

        :param now: seconds since the epoch.
        :raises TryAgain: where sending again may help, and is safe.
        :raises SalesforceLeadsError: where it does not help, or is not safe.
        """
        body, readable = decode(response.content or b"", response.headers.get("content-type", ""))
        # What was to go into a file and did not is no CSV: an error, or a page that a proxy made up.
        expected = self.into is None or response.content is None or response.status >= 300  # noqa: PLR2004
        answer = Answer(
            status=response.status,
            body=body,
            readable=readable and expected,
            retry_after=parse_retry_after(response.headers.get("retry-after"), now=now),
            location=response.headers.get("location"),
        )
        conn_id, version = self.settings.conn_id, self.settings.api_version
        decision = self.decision = judge(self.call, answer, conn_id=conn_id, api_version=version)
        if isinstance(decision, Renew):
            return decision
        if isinstance(decision, Fail):
            raise decision.error
        if isinstance(decision, Again):
            self._retry(decision)
        return Reply(status=response.status, body=body, headers=response.headers, repeated=self.may_be_done)

    def fail(self, failure: NoResponse, *, host: str) -> NoReturn:
        """Raise what an attempt without a response comes to.

        :param host: where it went.
        :raises TryAgain: where sending again may help, and is safe.
        :raises SalesforceLeadsError: where it does not help, or is not safe.
        """
        if not failure.sent:
            text = (
                f"{self._what} did not reach {host}: {failure.reason}. Check the network and proxies, then try again."
            )
            self._retry(Again(ConnectionFailedError(text), ambiguous=False))
        if failure.kind == "too_large":
            self.may_be_done = True
            raise ReplyTooLargeError(
                f"{self._what} was answered, but not read: {failure.reason}. That is no answer of Salesforce; check "
                "what stands between, or ask for fewer records or fields at once."
            )
        text = (
            f"{self._what} was sent and not answered: {failure.reason}. Try again later; if it comes back, raise "
            "timeout or lower batch_size."
        )
        self._retry(Again(ServiceUnavailableError(text), ambiguous=True))

    def _retry(self, again: Again) -> NoReturn:
        # A caller who tries again has a backoff of its own, which heeds what Salesforce asks for and not our guesses.
        if again.retry_after is not None or self.call.once:
            again.error.retry_after = again.retry_after
        if again.ambiguous and not self.call.repeatable:
            raise self._unknown(again.error)
        self.may_be_done = self.may_be_done or again.ambiguous
        raise TryAgain(again)

    def final_error(self, last: TryAgain | SalesforceLeadsError) -> SalesforceLeadsError:
        """Return the error to raise when no further attempt is made."""
        error = last.again.error if isinstance(last, TryAgain) else last
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
