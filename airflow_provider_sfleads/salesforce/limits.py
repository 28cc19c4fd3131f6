"""What Salesforce says about limits, in reply headers and in errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from airflow_provider_sfleads.exceptions import ApiLimitError
from airflow_provider_sfleads.salesforce.error_codes import ErrorCode

# The anchor keeps "api-usage" from matching inside "per-app-api-usage"; the order of segments is not fixed.
_USAGE = re.compile(r"(?:^|[;,])\s*api-usage\s*=\s*(\d{1,15})\s*/\s*(\d{1,15})(?!\d)", re.IGNORECASE | re.ASCII)
# Seconds: an hour is the most that makes sense, and what is more than a day is no word of Salesforce's.
_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class ApiUsage:
    """The org's REST requests in the last 24 hours, of all its users and apps.

    :param used: requests counted so far; paid orgs can stand above ``max``.
    :param max: requests allowed.
    """

    used: int
    max: int

    @property
    def share(self) -> float:
        """``used`` as a share of ``max``; 1.0 where the org is allowed none."""
        return self.used / self.max if self.max > 0 else 1.0


def parse_limit_info(header: str | None) -> ApiUsage | None:
    """Read ``Sforce-Limit-Info``; ``None`` where it is absent or says nothing of the org's requests.

    https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_api_usage.htm
    """
    found = _USAGE.search(header or "")
    return ApiUsage(int(found[1]), int(found[2])) if found else None


def parse_http_date(header: str | None) -> float | None:
    """Read an HTTP date as seconds since the epoch; ``None`` where it is none."""
    try:
        return parsedate_to_datetime(header or "").timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def parse_retry_after(header: str | None, *, now: float) -> float | None:
    """Read ``Retry-After``, seconds or an HTTP date, as seconds from ``now``; never negative, nor more than a day.

    :param now: seconds since the epoch, by the server's clock where that is known.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _A_DAY)
    moment = parse_http_date(text)
    return None if moment is None else min(max(0.0, moment - now), _A_DAY)


def used_up(what: str, said: str, entry: ErrorCode) -> ApiLimitError:
    """Make the error of an allowance of the last 24 hours.

    :param what: what met it: a request or a job.
    :param said: Salesforce's words.
    :param entry: what is known of their code.
    """
    allowance = "its API requests" if entry.code == "REQUEST_LIMIT_EXCEEDED" else "what Bulk API takes"
    error = ApiLimitError(f"The org has used up {allowance}, at {what}: {said}. {entry.advice}")
    error.retry_after = entry.retry_after
    return error
