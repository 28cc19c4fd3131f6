from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.exceptions import ConnectionFieldError
from airflow_provider_sfleads.salesforce.host import Host, parse_host


@pytest.mark.parametrize(
    "name",
    [
        "acme.my.salesforce.com",
        "acme--uat.sandbox.my.salesforce.com",
        "acme-dev-ed.develop.my.salesforce.com",
        "acme-dev-ed.my.salesforce.com",
        "page-1.scratch.my.salesforce.com",
        "acme.trailblaze.my.salesforce.com",
        "acme.my.salesforce.mil",
        "acme.my.sfcrmproducts.cn",
        "acme.my-salesforce.com",
    ],
)
@pytest.mark.parametrize("form", ["{}", "https://{}", "HTTPS://{}/", "{}/", " {} ", "{}:443", "{}."])
def test_my_domain_hosts_pass_in_any_spelling(name: str, form: str) -> None:
    """With or without scheme, slash and port, one base URL comes out."""
    assert parse_host(form.format(name.upper())) == Host(f"https://{name}", name, loopback=False)


@pytest.mark.parametrize(("schema", "port"), [(None, None), ("", 0), ("https", 443), ("HTTPS", None), (None, 443)])
def test_schema_and_port_may_be_what_they_must_be(schema: str | None, port: int | None) -> None:
    """Port 443 and schema https may be given; port 0 is what Airflow's form sends for none."""
    assert parse_host("acme.my.salesforce.com", schema, port).url == "https://acme.my.salesforce.com"


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("", "empty"),
        (None, "empty"),
        ("   ", "empty"),
        ("ac me.my.salesforce.com", "space"),
        ("acme.my.salesforce.com\x00", "control"),
        ("acme.my.salesforce.com/services/oauth2/token", "path"),
        ("https://acme.my.salesforce.com/?a=b", "query"),
        ("https://acme.my.salesforce.com?", "query"),
        ("https://acme.my.salesforce.com#x", "query"),
        ("https://user:pa55@acme.my.salesforce.com", "credentials"),
        ("evil.example\\@acme.my.salesforce.com", "credentials"),
        ("acme.my.salesforce.com\\x", "path"),
        ("login.salesforce.com", "no tokens"),
        ("https://test.salesforce.com", "no tokens"),
        ("acme.lightning.force.com", "Enter acme.my.salesforce.com"),
        ("acme--uat.sandbox.lightning.force.com", "Enter acme--uat.sandbox.my.salesforce.com"),
        ("acme.my.salesforce-setup.com", "Enter acme.my.salesforce.com"),
        ("acme.lightning.sfcrmapps.cn", "Enter acme.my.sfcrmproducts.cn"),
        ("na1.salesforce.com", "switched such hosts off"),
        ("cs110.salesforce.com", "switched such hosts off"),
        ("my.salesforce.com", "not a Salesforce My Domain host"),
        ("acme.salesforce.com", "not a Salesforce My Domain host"),
        ("acme.my.salesforce.com.evil.example", "not a Salesforce My Domain host"),
        ("evil-my.salesforce.com", "not a Salesforce My Domain host"),
        ("10.0.0.7", "not a Salesforce My Domain host"),
        ("128.0.0.1", "not a Salesforce My Domain host"),
        ("http://acme.my.salesforce.com", "over https"),
        ("ftp://acme.my.salesforce.com", "Only https"),
        ("acme.my.salesforce.com:8443", "port 8443"),
        ("acme.my.salesforce.com:99999", "port"),
        ("acmé.my.salesforce.com", "not a host name"),
        ("[::1", "not a host name"),
    ],
)
def test_what_cannot_be_a_host_is_refused_with_what_to_enter(host: str | None, words: str) -> None:
    """Each mistake has its own message, which never repeats credentials."""
    with pytest.raises(ConnectionFieldError, match=words) as caught:
        parse_host(host)
    assert "pa55" not in str(caught.value)


def test_http_by_schema_is_refused_too() -> None:
    """Plain http is for loopback hosts, however it is asked for."""
    with pytest.raises(ConnectionFieldError, match="over https"):
        parse_host("acme.my.salesforce.com", "http")


@pytest.mark.parametrize(
    ("host", "schema", "port", "url"),
    [
        ("localhost", None, 8080, "http://localhost:8080"),
        ("http://127.0.0.1:8080/", None, None, "http://127.0.0.1:8080"),
        ("127.8.9.1", "", 0, "http://127.8.9.1"),
        ("::1", "http", 8080, "http://[::1]:8080"),
        ("[::1]:8080", None, None, "http://[::1]:8080"),
        ("localhost", "https", 8443, "https://localhost:8443"),
        ("localhost", None, 443, "https://localhost"),
        ("https://localhost", "http", None, "https://localhost"),
        ("localhost:8080", None, 8080, "http://localhost:8080"),
    ],
)
def test_loopback_hosts_may_speak_http(host: str, schema: str | None, port: int | None, url: str) -> None:
    """The host's own scheme wins over the schema; without both, port 443 alone means https."""
    found = parse_host(host, schema, port)
    assert (found.url, found.loopback) == (url, True)


def test_two_ports_are_one_too_many() -> None:
    """A port in the host that contradicts the port field is refused."""
    with pytest.raises(ConnectionFieldError, match=r"8080.*9090"):
        parse_host("localhost:8080", None, 9090)


# What hosts are made of, and what passes for one elsewhere.
PIECES = [
    "acme", "-", "--", ".", "my.salesforce.com", ".my.salesforce.com", "login", "lightning.force.com", "evil.com",
    "localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "::1", "[", "]", "::ffff:127.0.0.1", "%25lo", "@", "/",
    "//", "\\", "?", "#", ":", "443", "http://", "https://", "ftp://", "$&", " ", "\t", "\u00e9", "\u212a", "\u017f",
    "\u3002",
]  # fmt: skip
MY_DOMAIN = re.compile(
    r"https://[a-z0-9-]+(\.[a-z0-9-]+)?(\.my\.salesforce\.(com|mil)|\.my\.sfcrmproducts\.cn|\.my-salesforce\.com)"
)


@given(
    st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    st.sampled_from([None, "", "http", "https"]),
    st.sampled_from([None, 0, 443, 80, -1, 70000]),
)
def test_any_text_is_a_safe_host_or_a_clear_error(host: str, schema: str | None, port: int | None) -> None:
    """Nothing else than a host below a Salesforce suffix or a loopback host ever comes out."""
    try:
        found = parse_host(host, schema, port)
    except ConnectionFieldError:
        return
    if found.loopback:
        assert found.name == "localhost" or ipaddress.ip_address(found.name).is_loopback
    else:
        assert MY_DOMAIN.fullmatch(found.url)
