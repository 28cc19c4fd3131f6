"""The line to Salesforce for those that await: the same proxies, certificates and time-outs, over aiohttp."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError
from requests import Session
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy
from tenacity import AsyncRetrying

from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.transport.failures import DAMAGED, Failure, Kinds, by_causes, too_large
from airflow_provider_sfleads.transport.flight import HEADERS, Heard
from airflow_provider_sfleads.transport.pieces import PIECE, Body, TooLarge, Torn
from airflow_provider_sfleads.transport.rhythm import Rhythm
from airflow_provider_sfleads.transport.settings import Settings
from airflow_provider_sfleads.transport.sockets import POOL_SIZE, Bounds, environment

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


class AsyncLine:
    """A pooled session of one event loop, opened at the first exchange.

    :param sleep: waits some seconds.
    :param random: draws from [0, 1).
    """

    def __init__(
        self, settings: Settings, *, sleep: Callable[[float], Awaitable[None]], random: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._rhythm = Rhythm(settings.retries, random)
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
        params: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, str] | None = None,
    ) -> Heard | Failure:
        """Send one request once; no redirect is followed.

        :param data: the body, or the fields of a form.
        """
        session = await self._open()
        proxy = self._proxy(url)
        body = aiohttp.FormData(data) if isinstance(data, Mapping) else data
        sending = session.request(
            method,
            url,
            headers=headers,
            params=params,
            data=body,
            proxy=proxy,
            allow_redirects=False,
        )
        try:
            async with asyncio.timeout(2 * self._settings.timeout) as timer, sending as response:
                content = await self._held(response, timer)
        except TooLarge as error:
            return too_large(error.most)
        except Torn:
            return DAMAGED
        except (aiohttp.ClientError, OSError) as error:
            kinds = _KINDS if proxy is None else _BEHIND_PROXY
            return by_causes(error, kinds, sent=not isinstance(error, _NOT_SENT))
        return Heard(response.status, {name.lower(): value for name, value in response.headers.items()}, content)

    async def _held(self, response: aiohttp.ClientResponse, timer: asyncio.Timeout) -> bytes:
        """Read an answer's body, by the bounds that hold for threads as well (:mod:`.sockets`)."""
        settings = self._settings
        bounds = Bounds(most=settings.max_reply, slowest=settings.slowest)
        body, found = Body(response.headers.get("Content-Encoding", ""), bounds.most), bytearray()
        began, came = time.monotonic(), 0
        async for piece in response.content.iter_chunked(PIECE):
            came += len(piece)
            left = bounds.seconds_left(began, settings.timeout, came)
            timer.reschedule(asyncio.get_running_loop().time() + left)
            for part in body.take(piece):
                found += part
        body.end()
        return bytes(found)

    async def close(self) -> None:
        """Close the pooled connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def retrying(self) -> AsyncRetrying:
        """Return a fresh rhythm of trying again."""
        return AsyncRetrying(sleep=self._sleep, **self._rhythm.terms())

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
