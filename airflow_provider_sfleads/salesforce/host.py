"""Which hosts a token may be fetched from and sent to."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from airflow_provider_sfleads.exceptions import ConnectionFieldError

# Salesforce Help, "My Domain URL Formats"; what stands before the suffix is "mydomain" or "mydomain--box.sandbox" and
# the like.
_SUFFIXES = (".my.salesforce.com", ".my.salesforce.mil", ".my.sfcrmproducts.cn", ".my-salesforce.com")
_UI_SUFFIXES = (
    (".lightning.force.com", ".my.salesforce.com"),
    (".my.salesforce-setup.com", ".my.salesforce.com"),
    (".salesforce-setup.com", ".my.salesforce.com"),
    (".lightning.crmforce.mil", ".my.salesforce.mil"),
    (".lightning.force.mil", ".my.salesforce.mil"),
    (".my.salesforce-setup.mil", ".my.salesforce.mil"),
    (".lightning.sfcrmapps.cn", ".my.sfcrmproducts.cn"),
)
_LOGIN_HOSTS = frozenset({"login.salesforce.com", "test.salesforce.com", "www.salesforce.com", "salesforce.com"})
_LABELS = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)?")
_HOSTNAME = re.compile(r"[a-z0-9.:-]+")
_LEGACY = re.compile(r"[a-z]{2,5}\d+\.salesforce\.com")
_ENTER = "Enter the org's My Domain host, such as acme.my.salesforce.com (Setup > My Domain > Current My Domain URL)."
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Host:
    """A host that may be given the secret and the token.

    :param url: scheme, host and port, without a trailing slash.
    :param name: host name in lower case.
    :param loopback: whether it is this machine.
    """

    url: str
    name: str
    loopback: bool


def parse_host(host: str | None, schema: str | None = None, port: int | None = None) -> Host:
    """Return the base URL that the connection's host, schema and port mean.

    Only My Domain hosts pass, and only over https; plain http is for loopback hosts. A scheme written into
    ``host`` wins over ``schema``. A loopback host without either is https at port 443, else http. Port 0
    is no port (Airflow's form sends it). Messages never repeat what may hold credentials.

    :raises ConnectionFieldError: with a message that says what to enter.
    """
    text = (host or "").strip()
    if not text:
        raise _wrong("Host is empty.")
    scheme, parts = _split(text, (schema or "").strip().lower())
    name, number = _name_and_port(parts, port or None)
    if _is_loopback(name):
        return _loopback(name, number, scheme)
    _check_my_domain(name)
    if scheme == "http":
        raise ConnectionFieldError(
            f"Host {name} must be reached over https; plain http is only for loopback hosts. "
            "Take http:// out of Host, and leave Schema empty or set it to https."
        )
    if number not in (None, 443):
        raise ConnectionFieldError(
            f"Salesforce does not answer at port {number} of {name}. Leave Port empty or enter 443."
        )
    return Host(f"https://{name}", name, loopback=False)


def _wrong(what: str) -> ConnectionFieldError:
    return ConnectionFieldError(f"{what} {_ENTER}")


def _split(text: str, schema: str) -> tuple[str, SplitResult]:
    """Tell scheme from the rest, refusing what a host cannot hold."""
    if any(character.isspace() or not character.isprintable() for character in text):
        raise _wrong("Host holds a space or a control character.")
    head, mark, rest = text.partition("://")
    scheme = head.lower() if mark else schema
    rest = rest if mark else text
    if scheme not in ("", "http", "https"):
        raise _wrong("Only https can be spoken to Salesforce, not the scheme of Host or Schema.")
    if "@" in rest:
        raise _wrong("Host holds credentials. They belong into Consumer key (Login) and Consumer secret (Password).")
    if rest.lower() in ("::1", "0:0:0:0:0:0:0:1"):
        rest = f"[{rest}]"
    try:
        parts = urlsplit(f"//{rest}")
    except ValueError:
        raise _wrong("Host is not a host name.") from None
    if parts.query or parts.fragment or "?" in rest or "#" in rest:
        raise _wrong("Host holds a query.")
    if parts.path not in ("", "/") or "\\" in rest:
        raise _wrong("Host holds a path; paths are added by the provider.")
    return scheme, parts


def _name_and_port(parts: SplitResult, port: int | None) -> tuple[str, int | None]:
    try:
        name, written = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise _wrong(f"The port in Host is not a number up to {_MAX_PORT}.") from None
    if not name or not _HOSTNAME.fullmatch(name):
        raise _wrong("Host is not a host name.")
    if written and port and written != port:
        raise ConnectionFieldError(f"Host says port {written}, Port says {port}. Leave one of them out.")
    number = written or port
    if number is not None and not 0 < number <= _MAX_PORT:
        raise ConnectionFieldError(f"Port {number} cannot be one. Leave Port empty or enter 443.")
    return name, number


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _loopback(name: str, port: int | None, scheme: str) -> Host:
    scheme = scheme or ("https" if port == 443 else "http")  # noqa: PLR2004
    shown = f"[{name}]" if ":" in name else name
    default = {"http": 80, "https": 443}[scheme]
    tail = "" if port in (None, default) else f":{port}"
    return Host(f"{scheme}://{shown}{tail}", name, loopback=True)


def _check_my_domain(name: str) -> None:
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and _LABELS.fullmatch(name.removesuffix(suffix)):
            return
    for shown, api in _UI_SUFFIXES:
        label = name.removesuffix(shown)
        if name.endswith(shown) and _LABELS.fullmatch(label):
            raise ConnectionFieldError(
                f"Host {name} serves pages, not the API. Enter {label.removesuffix('.my')}{api}."
            )
    if name in _LOGIN_HOSTS:
        raise _wrong(f"Host {name} gives no tokens to the client-credentials flow.")
    if _LEGACY.fullmatch(name):
        raise _wrong(f"Host {name} names an instance, not an org; Salesforce has switched such hosts off.")
    raise _wrong(f"Host {name} is not a Salesforce My Domain host.")
