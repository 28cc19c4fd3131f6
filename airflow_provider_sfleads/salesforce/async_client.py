"""Send calls from an event loop, such as the triggerer's, over aiohttp; the client that blocks is in :mod:`.client`."""

from __future__ import annotations

import asyncio
import logging
import random as chance
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from requests import Session
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from tenacity import AsyncRetrying

from airflow_provider_sfleads.exceptions import ConnectionFieldError, ParameterError, SalesforceLeadsError
from airflow_provider_sfleads.salesforce.body import PIECE, Damaged, TooLarge, Unpacker
from airflow_provider_sfleads.salesforce.client import BaseClient
from airflow_provider_sfleads.salesforce.connection import POOL_SIZE, Bounds, Kinds, explain
from airflow_provider_sfleads.salesforce.oauth import Grant, read_grant, secrets_in, token_url
from airflow_provider_sfleads.salesforce.request import HEADERS, Request, prepare
from airflow_provider_sfleads.salesforce.response_policy import Backoff, Renew
from airflow_provider_sfleads.salesforce.session import environment, lower_case
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.token_store import AsyncTokenStore
from airflow_provider_sfleads.salesforce.wire import Answer, Call, NoResponse, RawResponse, Reply

_KINDS: Kinds = (
    ("dns", (socket.gaierror,), "the name server does not answer"),
    ("tls", (ssl.SSLCertVerificationError,), "its certificate is not trusted"),
    ("proxy", (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError), "the proxy refuses"),
    ("tls", (aiohttp.ClientSSLError, ssl.SSLError), "the TLS connection failed"),
    ("timeout", (TimeoutError,), "no answer in time"),
    ("refused", (ConnectionRefusedError,), "the connection was refused"),
    ("broken", (HttpProcessingError,), "its answer is no HTTP, or its header is too large"),
)
# Behind a proxy the only name that is looked up here is the proxy's own, which aiohttp does not say.
_BEHIND_PROXY: Kinds = (("proxy", (socket.gaierror,), "the proxy refuses or does not answer"), *_KINDS)
# Errors of connecting: the request itself had not left.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
_log = logging.getLogger(__name__)


async def _nothing(_secret: str) -> None:
    pass


class AsyncClient(BaseClient):
    """Sends calls to one org from one event loop, by the rules of :class:`~.client.Client`; files are not for it.

    The parameters are that client's, as far as there are the same.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
        now: Callable[[], float] = time.time,
        on_secret: Callable[[str], Awaitable[None]] = _nothing,
    ) -> None:
        self._on_secret = on_secret
        self._sleep = sleep
        self._tokens = AsyncTokenStore(self._request_token)
        super().__init__(settings, self._tokens, now)
        self._backoff = Backoff(settings.retries, random)
        self._http = _AsyncSession(settings)

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._http.close()

    async def send(self, call: Call) -> Reply:
        """Send a call, and return the answer: 2xx, 300, 304, or a refusal (4xx) that is the caller's to judge.

        :raises SalesforceLeadsError: as :meth:`.client.Client.send` does.
        """
        request = prepare(call, self.settings)
        request.check_usage(self.api_usage)
        try:
            reply: Reply = await self._retrying(once=call.once)(self._attempt, request)
        except SalesforceLeadsError as last:
            error = request.final_error(last)
        else:
            return reply
        raise error

    async def answered(self, calls: Generator[Call, Reply, Answer]) -> Answer:
        """Send calls one after the other, as :func:`~airflow_provider_sfleads.salesforce.wire.answered` does."""
        try:
            call = next(calls)
            while True:
                call = calls.send(await self.send(call))
        except StopIteration as end:
            answer: Answer = end.value
            return answer

    def _retrying(self, *, once: bool = False) -> AsyncRetrying:
        return AsyncRetrying(sleep=self._sleep, **self._backoff.arguments(once=once))

    async def _attempt(self, request: Request) -> Reply:
        if isinstance(request.data, Path):
            raise ParameterError("A file goes out through the client that blocks: no event loop waits for a disk.")
        while True:
            token = await self._tokens.current()
            found = await self._http.exchange(
                request.call.method,
                token.base_url + request.target,
                headers={**request.headers, **token.headers},
                data=request.data,
            )
            decision = self._judge(request, token, found)
            if not isinstance(decision, Renew):
                return request.settle(decision)
            if not request.may_renew() or await self._tokens.renew(token) is None:
                raise decision.error

    async def _request_token(self) -> Grant:
        grant: Grant = await self._retrying()(self._request_token_once)
        await self._on_secret(grant.access_token)
        _log.info("Got a token for %s (connection %r)", grant.host.name, self.settings.conn_id)
        return grant

    async def _request_token_once(self) -> Grant:
        form = self._token_form()
        for secret in secrets_in(form):
            await self._on_secret(secret)
        found = await self._http.exchange("POST", token_url(self.settings), headers={}, data=form)
        return read_grant(found, self.settings, now=self._now())


class _AsyncSession:
    """A pooled session of one event loop, opened at the first request; proxies and certificates are as in requests."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with Session() as session:
            session.trust_env = not settings.host.loopback
            found = environment(session, settings)
        self._verify: bool | str = found["verify"]
        self._proxies: Mapping[str, str] = found["proxies"]
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        data: bytes | Mapping[str, str] | None = None,
    ) -> RawResponse | NoResponse:
        """Send one request once; no redirect is followed.

        :param data: the body, or the fields of a form.
        """
        session = await self._open()
        proxy = self._proxy(url)
        body = aiohttp.FormData(data) if isinstance(data, Mapping) else data
        sending = session.request(method, url, headers=headers, data=body, proxy=proxy, allow_redirects=False)
        try:
            async with asyncio.timeout(2 * self._settings.timeout) as timer, sending as response:
                content = await self._read(response, timer)
        except (aiohttp.ClientError, OSError, TooLarge, Damaged) as error:
            kinds = _KINDS if proxy is None else _BEHIND_PROXY
            return explain(error, kinds, sent=not isinstance(error, _NOT_SENT))
        return RawResponse(response.status, lower_case(response.headers), content)

    async def _read(self, response: aiohttp.ClientResponse, timer: asyncio.Timeout) -> bytes:
        """Read a response's body, by the bounds that hold for threads as well (:mod:`.connection`)."""
        settings = self._settings
        bounds = Bounds(most=settings.max_reply, slowest=settings.slowest)
        unpacker, found = Unpacker(response.headers.get("Content-Encoding", ""), bounds.most), bytearray()
        began, came = time.monotonic(), 0
        async for piece in response.content.iter_chunked(PIECE):
            came += len(piece)
            left = bounds.seconds_left(began, settings.timeout, came)
            timer.reschedule(asyncio.get_running_loop().time() + left)
            for part in unpacker.feed(piece):
                found += part
        unpacker.end()
        return bytes(found)

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _proxy(self, url: str) -> str | None:
        found = select_proxy(url, self._proxies)
        if found is None:
            return None
        if found.lower().startswith("socks"):
            raise ConnectionFieldError(
                f"The proxy of connection {self._settings.conn_id!r} is a SOCKS proxy, which a deferred task cannot "
                "use. Set an HTTP proxy, or deferrable=False."
            )
        return found if "://" in found else f"http://{found}"

    async def _open(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                # Reads a file of certificates, for which no event loop should wait.
                trusted = await asyncio.to_thread(_trusted, self._verify)
                wait = self._settings.timeout
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=trusted, limit=POOL_SIZE, keepalive_timeout=30.0),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    headers=HEADERS,
                    # It would unpack whatever comes, however large that is.
                    auto_decompress=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=wait, sock_read=wait),
                )
            return self._session


def _trusted(verify: bool | str) -> ssl.SSLContext | bool:  # noqa: FBT001 - as requests has it
    """Return what certificates are checked by: the same file of them that requests takes."""
    if verify is False:
        return False
    path = DEFAULT_CA_BUNDLE_PATH if verify is True else str(verify)
    folder = Path(path).is_dir()
    return ssl.create_default_context(cafile=None if folder else path, capath=path if folder else None)
