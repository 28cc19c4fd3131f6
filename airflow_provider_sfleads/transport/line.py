"""The line to Salesforce: one exchange at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

from requests import PreparedRequest, RequestException, Response
from requests.auth import AuthBase  # noqa: TC002 - resolvable at run time
from tenacity import Retrying
from urllib3.exceptions import HTTPError

from airflow_provider_sfleads.transport import sockets
from airflow_provider_sfleads.transport.failures import DAMAGED, Failure, explain, too_large
from airflow_provider_sfleads.transport.flight import HEADERS
from airflow_provider_sfleads.transport.pieces import TooLarge, Torn, held, save
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
        most: int | None = None,
        timeout: float | None = None,
        leaves_by: sockets.Deadline | None = None,
    ) -> tuple[Response, bool] | Failure:
        """Send one request once; no redirect is followed. Return the answer, read to its end, and whether it is a file.

        An answer that is larger than it may be, or comes too slowly, is not read on.

        :param data: the body; the file at a path goes out in pieces.
        :param into: where a CSV answer goes; any other is held.
        :param most: bytes that a CSV answer may have, where that is told.
        :param timeout: seconds to connect, and to wait for each part of the answer.
        :param leaves_by: when the request must have begun to leave; after that it is not sent.
        """
        received = _Received(into, most, self._settings.max_reply)
        bounds = sockets.Bounds(most=received.most, slowest=self._settings.slowest)
        with data.open("rb") if isinstance(data, Path) else nullcontext(data) as body:
            request = PreparedRequest()
            # A hook, for a session reads the body of a redirect, whole, before it gives the answer out.
            hooks = {"response": [received.take]}
            request.prepare(method, url, {**HEADERS, **headers}, params=params, data=body, hooks=hooks)
            sockets.begin(leaves_by, bounds)
            try:
                response = self.session.send(
                    request, timeout=timeout or self._settings.timeout, allow_redirects=False, **self._environment
                )
            except TooLarge as error:
                return too_large(error.most)
            except Torn:
                return DAMAGED
            except (RequestException, HTTPError) as error:
                return explain(error, sent=sockets.was_sent())
        return response, received.saved

    def retrying(self) -> Retrying:
        """Return a fresh rhythm of trying again."""
        return Retrying(sleep=self._sleep, **self._rhythm.terms())


class _Received:
    """Takes the body of one answer.

    :param into: where a CSV answer goes.
    :param of_file: bytes that such an answer may have, where that is told.
    :param of_reply: bytes that any other may have.
    """

    def __init__(self, into: Path | None, of_file: int | None, of_reply: int) -> None:
        self._into, self._of_reply = into, of_reply
        self._of_file = of_file or of_reply
        self.saved = False

    @property
    def most(self) -> int:
        """Bytes that the answer may have, whichever it is."""
        return self._of_reply if self._into is None else max(self._of_reply, self._of_file)

    def take(self, response: Response, **_: object) -> None:
        """Read an answer to its end, within bounds; what is held can be read from it again."""
        self.saved = self._into is not None and _holds_rows(response)
        if self._into is not None and self.saved:
            save(response, self._into, self._of_file)
        else:
            response.raw = BytesIO(held(response, self._of_reply))


def _holds_rows(response: Response) -> bool:
    """Whether an answer is CSV; where there are no rows, it may have neither body nor type."""
    kind = response.headers.get("Content-Type", "text/csv").lower()
    empty = response.headers.get("Content-Length") == "0"
    return response.status_code < 300 and (empty or kind.startswith("text/csv"))  # noqa: PLR2004
