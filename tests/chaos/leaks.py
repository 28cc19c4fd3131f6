"""Searches all that an Airflow has written for what must not be told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import psycopg

from tests.integration.real_airflow import RealAirflow

#: In every name, company and address of every row, and in nothing else.
PERSONAL = ("zyx-", "qqx-")


def _texts(airflow: RealAirflow) -> Iterator[tuple[str, str]]:
    for path in sorted(airflow.folder.rglob("*.log")):
        yield str(path), path.read_text(errors="replace")
    with psycopg.connect(airflow.database) as connection:
        tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        for (table,) in connection.execute(tables).fetchall():
            # What is in the table of connections is encrypted; what is not, is found.
            rows = connection.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')  # noqa: S608
            yield f"table {table}", "\n".join(text for (text,) in rows)


def leaks(airflow: RealAirflow, secrets: Iterable[str], triggers: Iterable[str]) -> list[str]:
    """Where something stands that must not: a log, a table of the database, a trigger.

    :param secrets: secrets and tokens.
    :param triggers: rows of triggers that were seen on the way; they are gone by now.
    """
    pattern = re.compile("|".join([*map(re.escape, {*secrets}), *(f"(?i:{text})" for text in PERSONAL)]))
    found: list[str] = []
    for place, text in [*_texts(airflow), ("triggers", "\n".join(triggers))]:
        hits = {text[max(0, hit.start() - 80) : hit.end() + 40] for hit in pattern.finditer(text)}
        found.extend(f"{place}: ...{hit}..." for hit in sorted(hits)[:5])
    return found
