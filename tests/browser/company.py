"""The company whose leads the browser sees: a week of rows, with dirt that tries to harm whoever looks at it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import psycopg

from tests.integration.weeks import CREATE, Company, found_company, interval_of

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

FIRST = date(2026, 11, 9)
#: Runs in the browser that takes it for HTML.
MARKUP = "<img src=x onerror=alert(1)>"
#: Runs in the spreadsheet that takes it for a formula.
FORMULA = '=HYPERLINK("http://x")'
TOO_LONG = f"{MARKUP} {'x' * 80}"


def open_company(server: str, org: EmulatorServer) -> Company:
    """Found it: 200 sign-ups a day and as many scores, each day with some that will be rejected.

    :param server: URL of a PostgreSQL server.
    """
    company = found_company(server, org, FIRST)
    with psycopg.connect(company.warehouse) as connection:
        for number, day in enumerate(company.days):
            moment, _ = interval_of(CREATE, day)
            for key, name, email in (
                (f"{MARKUP}-{number}", TOO_LONG, "ada@example.com"),
                (f"{FORMULA}-{number}", FORMULA, "no address"),
            ):
                connection.execute(
                    "INSERT INTO signups (lead_key, signed_up_at, last_name, company, email)"
                    " VALUES (%s, %s, %s, 'Acme', %s)",
                    (key, moment, name, email),
                )
    return company
