from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.salesforce.wire import ApiUsage, parse_http_date, parse_limit_info, parse_retry_after


@pytest.mark.parametrize(
    ("header", "usage"),
    [
        ("api-usage=18/5000", ApiUsage(18, 5000)),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=sample-app)", ApiUsage(25, 5000)),
        ("per-app-api-usage=17/250(appName=sample-app); api-usage=25/5000", ApiUsage(25, 5000)),
        ("per-app-api-usage=17/250(appName=sample-app)", None),
        ("api-usage=x/y", None),
        ("", None),
        (None, None),
    ],
)
def test_usage_is_found_wherever_it_stands(header: str | None, usage: ApiUsage | None) -> None:
    """Segments come in any order, and the app's own usage is not the org's."""
    assert parse_limit_info(header) == usage


@pytest.mark.parametrize(("used", "limit", "share"), [(9, 10, 0.9), (12, 10, 1.2), (0, 0, 1.0)])
def test_share(used: int, limit: int, share: float) -> None:
    """Paid orgs can stand above their limit; an org without any has used it up."""
    assert ApiUsage(used, limit).share == share


@given(st.text())
def test_any_header_is_survived(text: str) -> None:
    """Garbage in these headers never breaks a sync."""
    parse_limit_info(text)
    parse_http_date(text)
    wait = parse_retry_after(text, now=0.0)
    assert wait is None or wait >= 0


def test_retry_after_in_the_past_is_now() -> None:
    """A date that has gone by asks for no wait."""
    assert parse_retry_after("Tue, 14 Nov 2023 22:13:20 GMT", now=1_800_000_000.0) == 0
