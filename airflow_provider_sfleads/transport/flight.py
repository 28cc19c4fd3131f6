"""One call on its way, over all its attempts: what goes out, and what an answer means for it. No sockets here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from airflow_provider_sfleads import __version__
from airflow_provider_sfleads.core.error_codes import AN_HOUR
from airflow_provider_sfleads.core.limits import ApiUsage, parse_retry_after
from airflow_provider_sfleads.core.replies import call_name
from airflow_provider_sfleads.core.wire import Call, FileBody, Reply
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    ConnectionFailedError,
    OutcomeUnknownError,
    ReplyTooLargeError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.transport.codec import decode, encode
from airflow_provider_sfleads.transport.failures import Failure
from airflow_provider_sfleads.transport.rhythm import TryAgain
from airflow_provider_sfleads.transport.settings import Settings
from airflow_provider_sfleads.transport.tokens import Token
from airflow_provider_sfleads.transport.verdict import Again, Answer, Fail, Renew, Verdict, judge

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
class Heard:
    """An HTTP answer as it came.

    :param headers: names in lower case.
    :param content: the body; ``None`` where it went into a file.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes | None = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Flight:
    """One call on its way.

    :param path: host-relative.
    :param data: the body, or the file that holds it.
    :param into: the file that a CSV answer goes into.
    :param timeout: seconds; ``None`` for the connection's own.
    :param renewals: how many tokens were renewed for it.
    :param verdict: on the newest answer; ``None`` where there was none.
    """

    call: Call
    settings: Settings
    path: str
    headers: dict[str, str]
    data: bytes | Path | None = field(repr=False)
    into: Path | None = None
    timeout: float | None = None
    renewals: int = 0
    doubtful: bool = False
    verdict: Verdict | None = None

    @property
    def counts(self) -> bool:
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
        """Return what goes out beside the body."""
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

    def landed(self, heard: Heard, *, doubtful_before: bool, now: float) -> Reply | Renew:
        """Return the answer, or that it asks for a new token.

        :param doubtful_before: whether an earlier attempt may have been carried out.
        :param now: seconds since the epoch.
        :raises TryAgain: where sending again may help, and is safe.
        :raises SalesforceLeadsError: where it does not help, or is not safe.
        """
        body, readable = (
            (None, True) if heard.content is None else decode(heard.content, heard.headers.get("content-type", ""))
        )
        # What was to go into a file and did not is no CSV: an error, or a page that a proxy made up.
        expected = self.into is None or heard.content is None or heard.status >= 300  # noqa: PLR2004
        answer = Answer(
            status=heard.status,
            body=body,
            readable=readable and expected,
            retry_after=parse_retry_after(heard.headers.get("retry-after"), now=now),
            location=heard.headers.get("location"),
        )
        conn_id, version = self.settings.conn_id, self.settings.api_version
        verdict = self.verdict = judge(self.call, answer, conn_id=conn_id, api_version=version)
        if isinstance(verdict, Renew):
            return verdict
        if isinstance(verdict, Fail):
            raise verdict.error
        if isinstance(verdict, Again):
            self._again(verdict)
        return Reply(status=heard.status, body=body, headers=heard.headers, repeated=doubtful_before)

    def lost(self, failure: Failure, *, host: str) -> NoReturn:
        """Say that an attempt got no answer.

        :param host: where it went.
        """
        if not failure.sent:
            text = (
                f"{self._what} did not reach {host}: {failure.reason}. Check the network and proxies, then try again."
            )
            self._again(Again(ConnectionFailedError(text), ambiguous=False))
        if failure.kind == "too_large":
            self.doubtful = True
            raise ReplyTooLargeError(
                f"{self._what} was answered, but not read: {failure.reason}. That is no answer of Salesforce; check "
                "what stands between, or ask for fewer records or fields at once."
            )
        text = (
            f"{self._what} was sent and not answered: {failure.reason}. Try again later; if it comes back, raise "
            "timeout or lower batch_size."
        )
        self._again(Again(ServiceUnavailableError(text), ambiguous=True))

    def _again(self, again: Again) -> NoReturn:
        # A caller who tries again has a rhythm of its own, which heeds what Salesforce asks for and not our guesses.
        if again.retry_after is not None or self.call.once:
            again.error.retry_after = again.retry_after
        if again.ambiguous and not self.call.repeatable:
            raise self._unknown(again.error)
        self.doubtful = self.doubtful or again.ambiguous
        raise TryAgain(again)

    def ended(self, last: TryAgain | SalesforceLeadsError) -> SalesforceLeadsError:
        """Return the error to raise when no further attempt is made."""
        error = last.again.error if isinstance(last, TryAgain) else last
        if self.doubtful and self.call.write and not isinstance(error, OutcomeUnknownError):
            return self._unknown(error)
        return error

    def _unknown(self, error: SalesforceLeadsError) -> OutcomeUnknownError:
        unknown = OutcomeUnknownError(
            f"{self._what} was sent, and whether Salesforce carried it out is not known. Look the records up before "
            f"sending them again; it may still take effect for 10 minutes. Last word: {error}"
        )
        unknown.retry_after = error.retry_after
        return unknown


def prepare(call: Call, settings: Settings, *, timeout: float | None = None, into: Path | None = None) -> Flight:
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
    return Flight(call=call, settings=settings, path=path, headers=headers, data=data, into=into, timeout=timeout)
