"""Send one request over a pooled requests session, and read its response within bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from http.cookiejar import DefaultCookiePolicy
from io import BytesIO
from pathlib import Path
from typing import Any

from requests import ConnectTimeout, PreparedRequest, RequestException, Response, Session
from urllib3.exceptions import HTTPError

from airflow_provider_sfleads.salesforce import connection
from airflow_provider_sfleads.salesforce.body import Damaged, TooLarge, read_body, save_body
from airflow_provider_sfleads.salesforce.request import HEADERS
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.wire import NoResponse, RawResponse


class PooledSession:
    """A session that threads can share: keep-alive, no cookies, no ``~/.netrc``, no retries of its own.

    :param sign: adds what is needed to requests that are made directly on :attr:`session`.
    """

    def __init__(self, settings: Settings, *, sign: Callable[[PreparedRequest], PreparedRequest]) -> None:
        self._settings = settings
        self.session = _Session()
        self.session.auth = sign
        # Proxies of the environment do not apply to loopback hosts.
        self.session.trust_env = not settings.host.loopback
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = connection.Adapter(pool_connections=4, pool_maxsize=connection.POOL_SIZE, max_retries=0)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)
        self.session.headers.update(HEADERS)
        self._environment = environment(self.session, settings)
        self.session.verify = self._environment["verify"]
        self.session.proxies = dict(self._environment["proxies"])

    def exchange(  # noqa: PLR0913 - what an HTTP request is made of
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        data: bytes | Path | Mapping[str, str] | None = None,
        into: Path | None = None,
        most: int | None = None,
        timeout: float | None = None,
        leaves_by: connection.Deadline | None = None,
    ) -> tuple[RawResponse | NoResponse, Response]:
        """Send one request once, and return its response, read to its end; an empty one where there is none.

        No redirect is followed. A response that is larger than it may be, or comes too slowly, is not read on.

        :param data: the body; the file at a path goes out in pieces.
        :param into: where a CSV response goes; any other is held.
        :param most: bytes that a CSV response may have, where that is told.
        :param timeout: seconds to connect, and to wait for each part of the response.
        :param leaves_by: when the request must have begun to leave; after that it is not sent.
        """
        settings = self._settings
        of_file = most or settings.max_reply
        bounds = connection.Bounds(
            most=settings.max_reply if into is None else max(settings.max_reply, of_file), slowest=settings.slowest
        )
        with data.open("rb") if isinstance(data, Path) else nullcontext(data) as body:
            request, (address, mark, query) = PreparedRequest(), url.partition("?")
            request.prepare(method, address, {**HEADERS, **headers}, data=body)
            # requests would go through a query, which is encoded already, character by character.
            request.url = f"{request.url}{mark}{query}"
            connection.begin(leaves_by, bounds)
            try:
                response = self.session.send(
                    request, timeout=timeout or settings.timeout, allow_redirects=False, **self._environment
                )
                if into is not None and _holds_rows(response):
                    save_body(response, into, of_file)
                    content = None
                else:
                    content = read_body(response, settings.max_reply)
                    response.raw = BytesIO(content)  # can be read from it again
            except (RequestException, HTTPError, TooLarge, Damaged) as error:
                sent = connection.was_sent() and not isinstance(error, ConnectTimeout)
                return connection.explain(error, connection.REQUESTS, sent=sent), Response()
        return RawResponse(response.status_code, lower_case(response.headers), content), response


def lower_case(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def environment(session: Session, settings: Settings) -> dict[str, Any]:
    """Return proxies and certificates as the connection and the environment have them, to be read once.

    requests itself does so anew for each request.
    """
    proxies = dict(settings.proxies or {})
    found = session.merge_environment_settings(
        settings.host.url, proxies=proxies, stream=True, verify=settings.verify, cert=None
    )
    return dict(found)


class _Session(Session):
    """A session that goes nowhere else: requests works out where a redirect leads even where it is not to follow it.

    A ``Location`` that is no URL would end a call with a bare ValueError, whatever Salesforce has done.
    """

    def get_redirect_target(self, resp: Response) -> str | None:  # noqa: ARG002 - as requests has it
        """Return that there is none."""
        return None


def _holds_rows(response: Response) -> bool:
    """Return whether a response is CSV; where there are no rows, it may have neither body nor type."""
    kind = response.headers.get("Content-Type", "text/csv").lower()
    empty = response.headers.get("Content-Length") == "0"
    return response.status_code < 300 and (empty or kind.startswith("text/csv"))  # noqa: PLR2004
