"""Hold what a client has to know of its connection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.salesforce.host import Host

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

DEFAULT_API_VERSION = "60.0"
DEFAULT_TIMEOUT = 60.0
DEFAULT_MAX_API_USAGE = 0.9
_VERSION = re.compile(r"[vV]?(\d{2,3})(?:\.0)?")
_OLDEST = 46  # the first version whose upsert says whether it created; older ones are retired or soon are


def normalise_version(value: object) -> str:
    """Return ``60.0`` for ``60.0``, ``"v60.0"``, ``60`` and the like.

    :raises ConnectionFieldError: where it is no version that this provider can speak.
    """
    found = _VERSION.fullmatch(str(value).strip()) if isinstance(value, str | int | float) else None
    if found is None or isinstance(value, bool) or int(found[1]) < _OLDEST:
        raise ConnectionFieldError(
            f"api_version must be a version from {_OLDEST}.0 up, such as {DEFAULT_API_VERSION} or "
            f"v{DEFAULT_API_VERSION}."
        )
    return f"{int(found[1])}.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How long a client goes on with what a retry can mend.

    :param attempts: sendings of one call, the first included.
    :param base: seconds; the n-th wait is drawn from 0 to ``base * 2 ** n``.
    :param cap: longest single wait in seconds, also for ``Retry-After``.
    :param total: seconds after which no further attempt is begun.
    """

    attempts: int = 5
    base: float = 0.5
    cap: float = 60.0
    total: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtBearer:
    """What token requests are signed with, in place of a consumer secret.

    :param key: read once, for it may have been encrypted, which takes time to undo.
    :param username: of the user as whom the org is used.
    :param audience: what assertions are addressed to.
    :param secrets: texts of the key, in whole and line by line, and its password; no log may show them.
    """

    key: RSAPrivateKey = field(repr=False)
    username: str = field(repr=False)
    audience: str
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One connection, checked.

    :param host: where the token is fetched.
    :param consumer_secret: empty where ``bearer`` stands in for it.
    :param bearer: what signs token requests in the JWT bearer flow; ``None`` for the client-credentials flow.
    :param api_version: REST version in any of its spellings; kept as ``60.0``.
    :param timeout: seconds to connect, and to wait for each part of an answer.
    :param max_api_usage: share of the org's daily requests from which on no write is sent.
    :param proxies: URL per scheme as in requests; ``None`` leaves it to the environment.
    :param verify: whether to check the certificate, or the file of a CA bundle.
    :param conn_id: names the connection in messages.
    :param max_reply: bytes that an answer may have, unpacked; of files, which go to disk, the call says how many.
    :param slowest: bytes a second that an answer must come at on the whole, once it has had twice ``timeout``: one that
        trickles for ever never runs into ``timeout`` itself.
    :param stale: seconds after which a write that has not left is not sent as it is: what was found out before it may
        not be so any more. A process that is frozen notices by it that it slept.
    """

    host: Host
    consumer_key: str
    consumer_secret: str = field(default="", repr=False)
    bearer: JwtBearer | None = None
    api_version: str = DEFAULT_API_VERSION
    timeout: float = DEFAULT_TIMEOUT
    max_api_usage: float = DEFAULT_MAX_API_USAGE
    proxies: Mapping[str, str] | None = field(default=None, repr=False)
    verify: bool | str = True
    conn_id: str = "salesforce_leads_default"
    retries: Retries = field(default_factory=Retries)
    max_reply: int = 32 << 20
    slowest: float = 20_000.0
    stale: float = 30.0

    def __post_init__(self) -> None:
        """Bring the version into its one spelling."""
        object.__setattr__(self, "api_version", normalise_version(self.api_version))

    @property
    def where(self) -> str:
        """The host and the connection, as messages name them."""
        return f"{self.host.name} (connection {self.conn_id!r})"
