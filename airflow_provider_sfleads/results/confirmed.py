"""What Salesforce was last known to hold of each row, so that rows that did not change cost no call."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

from airflow_provider_sfleads.core.keys import Compare
from airflow_provider_sfleads.core.mapping import Record
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.exports.connections import sql_hook
from airflow_provider_sfleads.results.dialects import dialect_of, table_sql
from airflow_provider_sfleads.results.digests import digest_of
from airflow_provider_sfleads.results.scratch import Scratch

log = logging.getLogger(__name__)

_BATCH = 10_000


def fingerprint_of(record: Record, *context: str | None) -> str:
    """A short text that is another one where any mapped value is, or what else it stands for.

    :param context: what makes the same values another matter: the lead meant, the way it is written.
    """
    return hashlib.blake2b(repr((sorted(record.items()), context)).encode(), digest_size=12).hexdigest()


class ConfirmedValues(Scratch):
    """The fingerprints of earlier runs, from the write-back table, and those of this run, for it.

    Kept in a file by digest of the key, so that memory does not grow with the table.

    :param directory: where the file lies.
    :param compare: brings a key into the form in which keys are compared.
    :param mode: how the run treats leads that exist; what one way confirmed says nothing of another.
    :param is_refresh: send every row, whatever was confirmed.
    """

    _FILE = "confirmed.sqlite"
    _TABLES = (
        "known (digest BLOB PRIMARY KEY, print TEXT, id TEXT)",
        "sent (digest BLOB PRIMARY KEY, print TEXT)",
    )

    def __init__(self, directory: Path, compare: Compare, *, mode: str, is_refresh: bool) -> None:
        super().__init__(directory)
        self._compare = compare
        self._mode = mode
        self._is_refresh = is_refresh

    def load(self, table: SqlTable, column: str) -> None:
        """Read what earlier runs confirmed; a table that is not there yet confirms nothing."""
        rows = ((digest_of(self._compare(key)), text, lead_id) for key, lead_id, text in _confirmed(table, column))
        try:
            self._database.executemany("INSERT OR REPLACE INTO known VALUES (?, ?, ?)", rows)
        except ExportError as error:
            if error.transient:
                raise
            log.info("Nothing is confirmed yet in %r: every row is sent.", table)

    def same(self, key: str, lead_id: str | None, record: Record) -> str | None:
        """The lead's id where the row's values are those last confirmed; notes them for the write-back either way."""
        digest, text = digest_of(self._compare(key)), fingerprint_of(record, lead_id, self._mode)
        self._database.execute("INSERT OR REPLACE INTO sent VALUES (?, ?)", (digest, text))
        if self._is_refresh:
            return None
        found = self._database.execute("SELECT id FROM known WHERE digest = ? AND print = ?", (digest, text)).fetchone()
        return str(found[0] or "") if found else None

    def sent(self, key: str) -> str | None:
        """The fingerprint of a row of this run."""
        sql = "SELECT print FROM sent WHERE digest = ?"
        found = self._database.execute(sql, (digest_of(self._compare(key)),)).fetchone()
        return str(found[0]) if found else None


def _confirmed(table: SqlTable, column: str) -> Iterator[tuple[str, str | None, str]]:
    dialect = dialect_of(sql_hook(table.conn_id).conn_type)
    names = [dialect.identifier(name) for name in ("key", "salesforce_id", column)]
    source = table_sql(table.table, dialect)
    sql = f"SELECT {', '.join(names)} FROM {source} WHERE {names[2]} IS NOT NULL"  # noqa: S608  (checked names)
    with SqlExport(table.conn_id, sql, fetch_size=_BATCH).open() as stream:
        for row in stream.rows:
            if isinstance(row, dict):
                key, lead_id, text = row.values()
                yield str(key), lead_id, str(text)
