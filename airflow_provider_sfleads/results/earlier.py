"""What the tries and executions of a task before this one did, so that this one repeats nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from airflow_provider_sfleads.core.keys import Compare
from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason, UnansweredSend
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.results.announced import Announcements, digest_of
from airflow_provider_sfleads.results.files import PRIVATE_FILE, PRIVATE_FOLDER
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import recorded_outcomes

if TYPE_CHECKING:
    import sqlite3

_CACHE_KIB = 32 * 1024
_TABLES = (
    "settled (digest BLOB PRIMARY KEY)",
    "created (digest BLOB PRIMARY KEY, id TEXT)",
    "unknown (digest BLOB PRIMARY KEY, since TEXT, last TEXT, users TEXT, people TEXT)",
    "announced (digest BLOB PRIMARY KEY, since TEXT, last TEXT, users TEXT, people TEXT)",
)


class EarlierRows:
    """The rows recorded before, by digest of their key and in a file, so that memory does not grow with them.

    Of the rows of one key only the one that was taken counts, not a repetition, nor one that could not be read.

    :param directory: where the file lies; one that a killed worker left there is replaced.
    :param compare: brings a key into the form in which keys are compared.
    :param repeatable: whether sending a row again is harmless: whatever settles such a row ends the doubt about it.
    :param assumed: when any row may have been sent of which nothing is recorded, where records are lost.
    """

    def __init__(
        self, directory: Path, compare: Compare, *, repeatable: bool = False, assumed: UnansweredSend | None = None
    ) -> None:
        self._path = directory / "earlier.sqlite"
        self._connection: sqlite3.Connection | None = None
        self._compare = compare
        self._repeatable = repeatable
        self._assumed = assumed

    def __enter__(self) -> Self:
        import sqlite3

        self._path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._path.touch(PRIVATE_FILE)
        # Nothing here outlives the run, so it needs neither a journal nor a flush to disk.
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", f"cache_size=-{_CACHE_KIB}"):
            self._connection.execute(f"PRAGMA {pragma}")
        for table in _TABLES:
            self._connection.execute(f"CREATE TABLE {table} WITHOUT ROWID")
        self._connection.execute("BEGIN")
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._path.unlink(missing_ok=True)

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError(f"{type(self).__name__} is used outside its context")
        return self._connection

    def resume(self, folder: ResultsFolder, tally: Tally, *, within_try: bool = False) -> None:
        """Take over what earlier tries of this execution settled, and count it.

        :param within_try: whether the try that recorded the rows goes on: what it left unsent is as good as settled.
        """
        for outcome in self._learned(folder):
            if outcome.action is not Action.NOT_SENT:
                tally.add(outcome)
            if _settles(outcome) or (within_try and outcome.action is Action.NOT_SENT):
                self._database.execute("INSERT OR IGNORE INTO settled VALUES (?)", (self._digest(outcome.key),))

    def remember(self, folders: Iterable[ResultsFolder]) -> None:
        """Learn which leads earlier executions of the task created, or may have."""
        for folder in folders:
            for outcome in self._learned(folder):
                if outcome.action is Action.CREATED:
                    row = (self._digest(outcome.key), outcome.salesforce_id or "")
                    self._database.execute("INSERT OR REPLACE INTO created VALUES (?, ?)", row)

    def conclude(self, folder: ResultsFolder) -> int:
        """Leave announced, once a try's rows are recorded, only those of which nobody knows what became of them.

        :return: how many of these are in no result: the export does not have them any more.
        """
        recorded = {self._digest(o.key) for o in self._learned(folder) if o.reason == Reason.OUTCOME_UNKNOWN}
        unknown = [(digest, _doubt(*said)) for digest, *said in self._database.execute("SELECT * FROM unknown")]
        Announcements(folder, self._compare).conclude(unknown)
        return sum(digest not in recorded for digest, _ in unknown)

    def _learned(self, folder: ResultsFolder) -> Iterator[Outcome]:
        """Yield the outcomes of an execution; its rows that were announced and are not accounted for become unknown."""
        for digest, doubt in Announcements(folder, self._compare).rows():
            self._add("announced", digest, doubt)
        for outcome in recorded_outcomes(folder):
            if _is_known(outcome) or (self._repeatable and _settles(outcome)):
                self._database.execute("DELETE FROM announced WHERE digest = ?", (self._digest(outcome.key),))
            yield outcome
        for digest, *said in self._database.execute("SELECT * FROM announced").fetchall():
            self._add("unknown", digest, _doubt(*said))
        self._database.execute("DELETE FROM announced")

    def _add(self, table: str, digest: bytes, doubt: UnansweredSend) -> None:
        """Remember one more sending of a row."""
        known = self._doubt_in(table, digest)
        whole = doubt if known is None else known | doubt
        names = (",".join(sorted(each)) for each in (whole.user_ids, whole.people))
        row = (digest, whole.since.isoformat(), whole.last.isoformat(), *names)
        self._database.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608 - ours

    def _doubt_in(self, table: str, digest: bytes) -> UnansweredSend | None:
        sql = f"SELECT * FROM {table} WHERE digest = ?"  # noqa: S608 - our own
        found = self._database.execute(sql, (digest,)).fetchone()
        return _doubt(*found[1:]) if found else None

    def settled(self, key: str) -> bool:
        """Return whether an earlier try settled the row that is sent for a key."""
        sql = "SELECT 1 FROM settled WHERE digest = ?"
        return self._database.execute(sql, (self._digest(key),)).fetchone() is not None

    def unknown(self, key: str) -> UnansweredSend | None:
        """Return when such a row was sent before, if what became of it was never learned."""
        return self._doubt_in("unknown", self._digest(key)) or self._assumed

    def created(self, key: str) -> str | None:
        """Id of the lead that an earlier execution of the task made of such a row."""
        sql = "SELECT id FROM created WHERE digest = ?"
        found = self._database.execute(sql, (self._digest(key),)).fetchone()
        return str(found[0]) if found else None

    def _digest(self, key: str) -> bytes:
        return digest_of(self._compare(key))


def _settles(outcome: Outcome) -> bool:
    """Return whether a line settles the row that is sent for its key."""
    # A repetition that a look-up has found, by the lead's id, is such a row; the export alone does not show it.
    is_repetition = outcome.action is Action.DUPLICATE_KEY and outcome.salesforce_id is None
    return outcome.action is not Action.NOT_SENT and not is_repetition and outcome.error_code != "MALFORMED_ROW"


def _is_known(outcome: Outcome) -> bool:
    """Return whether a row says what became of its own sending.

    A repetition, or a refusal before it was sent, does not.
    """
    if outcome.action is Action.NOT_SENT:
        return outcome.reason != Reason.OUTCOME_UNKNOWN
    return outcome.api is not None or outcome.action is Action.CREATED


def _doubt(since: str, last: str, users: str, people: str) -> UnansweredSend:
    return UnansweredSend(
        since=datetime.fromisoformat(since),
        last=datetime.fromisoformat(last),
        user_ids=frozenset(filter(None, users.split(","))),
        people=frozenset(filter(None, people.split(","))),
    )
