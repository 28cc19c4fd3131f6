"""Searches all that an Airflow has written for what must not be told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import psycopg

from tests.integration.real_airflow import RealAirflow

#: In every name, company and address of every row, and in nothing else.
PERSONAL = ("zyx-", "qqx-")
_HEAD = 7  # characters in which many secrets begin alike


def _texts(airflow: RealAirflow) -> Iterator[tuple[str, str]]:
    for path in sorted(airflow.folder.rglob("*.log")):
        yield str(path), path.read_text(errors="replace")
    with psycopg.connect(airflow.database) as connection:
        tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        for (table,) in connection.execute(tables).fetchall():
            # What is in the table of connections is encrypted; what is not, is found.
            rows = connection.execute(f'SELECT row_to_json(t)::text FROM "{table}" t')  # noqa: S608
            yield f"table {table}", "\n".join(text for (text,) in rows)


def _of_secrets(text: str, by_head: Mapping[str, Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Where secrets begin and end; a search for each of thousands in each of thousands of logs would take hours."""
    for hit in re.finditer("|".join(map(re.escape, by_head)), text) if by_head else ():
        for secret in by_head[hit[0]]:
            if text.startswith(secret, hit.start()):
                yield hit.start(), hit.start() + len(secret)


def leaks(airflow: RealAirflow, secrets: Iterable[str], triggers: Iterable[str]) -> list[str]:
    """Where something stands that must not: a log, a table of the database, a trigger.

    :param secrets: secrets and tokens.
    :param triggers: rows of triggers that were seen on the way; they are gone by now.
    """
    by_head: dict[str, list[str]] = {}
    for secret in {*secrets}:
        by_head.setdefault(secret[:_HEAD], []).append(secret)
    personal = re.compile("|".join(PERSONAL), re.IGNORECASE)
    found: list[str] = []
    for place, text in [*_texts(airflow), ("triggers", "\n".join(triggers))]:
        at = [*_of_secrets(text, by_head), *(hit.span() for hit in personal.finditer(text))]
        hits = {text[max(0, start - 80) : end + 40] for start, end in at}
        found.extend(f"{place}: ...{hit}..." for hit in sorted(hits)[:5])
    return found
