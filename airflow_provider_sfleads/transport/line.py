"""The line to Salesforce: one exchange at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from requests import PreparedRequest, RequestException, Response
from requests.auth import AuthBase  # noqa: TC002 - resolvable at run time
from tenacity import Retrying

from airflow_provider_sfleads.transport import sockets
from airflow_provider_sfleads.transport.failures import Failure, explain
from airflow_provider_sfleads.transport.flight import HEADERS
from airflow_provider_sfleads.transport.pieces import save
from airflow_provider_sfleads.transport.rhythm import Rhythm
from airflow_provider_sfleads.transport.settings import Settings


class Line:
    """A pooled session and how to use it.

    :param auth: gives requests made directly on :attr:`session` their token.
    :param sleep: waits some seconds.
    :param random: draws from [0, 1).
    """

    def __init__(
        self, settings: Settings, *, auth: AuthBase, sleep: Callable[[float], None], random: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._rhythm = Rhythm(settings.retries, random)
        self.session = sockets.open_session(auth=auth, loopback=settings.host.loopback)
        self.session.headers.update(HEADERS)
        self._environment = sockets.environment(self.session, settings)
        self.session.verify = self._environment["verify"]
        self.session.proxies = dict(self._environment["proxies"])

    def exchange(  # noqa: PLR0913 - what an HTTP request is made of
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        data: bytes | Path | Mapping[str, str] | None = None,
        into: Path | None = None,
        timeout: float | None = None,
        leaves_by: sockets.Deadline | None = None,
    ) -> tuple[Response, bool] | Failure:
        """Send one request once; no redirect is followed. Return the answer, read to its end, and whether it is a file.

        :param data: the body; the file at a path goes out in pieces.
        :param into: where a CSV answer goes; any other is held.
        :param timeout: seconds to connect, and to wait for each part of the answer.
        :param leaves_by: when the request must have begun to leave; after that it is not sent.
        """
        with data.open("rb") if isinstance(data, Path) else nullcontext(data) as body:
            request = PreparedRequest()
            request.prepare(method, url, {**HEADERS, **headers}, params=params, data=body)
            sockets.begin(leaves_by)
            try:
                response = self.session.send(
                    request, timeout=timeout or self._settings.timeout, allow_redirects=False, **self._environment
                )
                if into is not None and _holds_rows(response):
                    save(response, into)
                    return response, True
                response.content  # noqa: B018 - reads it, and gives the connection back
            except RequestException as error:
                return explain(error, sent=sockets.was_sent())
        return response, False

    def retrying(self) -> Retrying:
        """Return a fresh rhythm of trying again."""
        return Retrying(sleep=self._sleep, **self._rhythm.terms())


def _holds_rows(response: Response) -> bool:
    """Whether an answer is CSV; where there are no rows, it may have neither body nor type."""
    kind = response.headers.get("Content-Type", "text/csv").lower()
    empty = response.headers.get("Content-Length") == "0"
    return response.status_code < 300 and (empty or kind.startswith("text/csv"))  # noqa: PLR2004
