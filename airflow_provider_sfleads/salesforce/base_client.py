"""Count API usage and evaluate responses, for the client that blocks and for the one that awaits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NoReturn

from airflow_provider_sfleads.salesforce.limits import ApiUsage, parse_http_date, parse_limit_info
from airflow_provider_sfleads.salesforce.network_errors import NoResponse
from airflow_provider_sfleads.salesforce.request import RawResponse, Request
from airflow_provider_sfleads.salesforce.response_policy import Renew
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.token_store import BaseTokenStore, Token
from airflow_provider_sfleads.salesforce.wire import Reply

_A_YEAR = 365 * 86_400.0


class BaseClient:
    """Counts requests, notes what each response tells beside its body, and evaluates it.

    :param settings: the connection.
    :param tokens: holds the token in use.
    :param now: wall clock in seconds since the epoch.
    """

    def __init__(self, settings: Settings, tokens: BaseTokenStore, now: Callable[[], float]) -> None:
        self.settings = settings
        self._token_store = tokens
        self._now = now
        #: REST requests sent that count against the org's allowance.
        self.api_calls = 0
        #: Token requests sent.
        self.token_requests = 0
        #: The org's API usage by the newest response; ``None`` before the first.
        self.api_usage: ApiUsage | None = None
        self._server_date: tuple[str, float] | None = None
        self._counting = threading.Lock()

    @property
    def server_time_offset(self) -> float | None:
        """Seconds that Salesforce's clock is ahead of this machine's by the newest response, to about a second."""
        date, received_at = self._server_date or ("", 0.0)
        moment = parse_http_date(date)
        # A clock that is wrong by years is none.
        return None if moment is None or abs(moment - received_at) > _A_YEAR else moment - received_at

    def _count_api_call(self, request: Request) -> None:
        if request.counts_as_api_call:
            with self._counting:
                self.api_calls += 1

    def _count_token_request(self) -> None:
        with self._counting:
            self.token_requests += 1

    def _fail(self, request: Request, token: Token, failure: NoResponse) -> NoReturn:
        """Count an attempt that got no response, and raise what it comes to; see :meth:`.request.Request.fail`."""
        if failure.sent:
            self._count_api_call(request)
        request.fail(failure, host=token.base_url)

    def _evaluate(self, request: Request, token: Token, response: RawResponse) -> Reply | Renew:
        """Note what a response tells, and evaluate it; see :meth:`.request.Request.evaluate`."""
        self._count_api_call(request)
        usage = parse_limit_info(response.headers.get("sforce-limit-info"))
        if usage is not None:
            self.api_usage = usage
        if (date := response.headers.get("date")) is not None:
            self._server_date = (date, self._now())
        if response.status != 401:  # noqa: PLR2004
            self._token_store.accept(token)
        return request.evaluate(response, now=self._now())
