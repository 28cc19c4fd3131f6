"""What the tries and executions of a task before this one did, so that this one repeats nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from airflow_provider_sfleads.core.doubt import Doubt
from airflow_provider_sfleads.core.keys import Compare
from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.digests import digest_of
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import recorded_outcomes
from airflow_provider_sfleads.results.scratch import Scratch


class EarlierRows(Scratch):
    """The rows recorded before, by digest of their key and in a file, so that memory does not grow with them.

    Rows of one key are told apart by what they were: the key's first row, a repetition of the key, or a row that
    could not be read.

    :param directory: where the file lies.
    :param compare: brings a key into the form in which keys are compared.
    :param repeatable: whether sending a row again is harmless: whatever settles such a row ends the doubt about it.
    :param assumed: when any row may have been sent of which nothing is recorded, where records are lost.
    """

    _FILE = "earlier.sqlite"
    _TABLES = (
        "settled (digest BLOB PRIMARY KEY, n INTEGER)",
        "created (digest BLOB PRIMARY KEY, id TEXT)",
        "unknown (digest BLOB PRIMARY KEY, since TEXT, last TEXT, users TEXT, people TEXT)",
        "announced (digest BLOB PRIMARY KEY, since TEXT, last TEXT, users TEXT, people TEXT)",
    )

    def __init__(
        self, directory: Path, compare: Compare, *, repeatable: bool = False, assumed: Doubt | None = None
    ) -> None:
        super().__init__(directory)
        self._compare = compare
        self._repeatable = repeatable
        self._assumed = assumed

    def resume(self, folder: ResultsFolder, tally: Tally) -> None:
        """Take over what earlier tries of this execution settled, and count it."""
        for outcome in self._learned(folder):
            if outcome.action is not Action.NOT_SENT:
                tally.add(outcome)
                self._database.execute(
                    "INSERT INTO settled VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (self._digest(outcome),)
                )

    def remember(self, folders: Iterable[ResultsFolder]) -> None:
        """Learn which leads earlier executions of the task created, or may have."""
        for folder in folders:
            for outcome in self._learned(folder):
                if outcome.action is Action.CREATED:
                    row = (self._digest(outcome), outcome.salesforce_id or "")
                    self._database.execute("INSERT OR REPLACE INTO created VALUES (?, ?)", row)

    def conclude(self, folder: ResultsFolder) -> int:
        """Once a try's rows are recorded: leave announced only those of which nobody knows what became of them.

        :return: how many of these are in no result: the export does not have them any more.
        """
        recorded = {
            digest_of(self._compare(o.key)) for o in self._learned(folder) if o.reason == Reason.OUTCOME_UNKNOWN
        }
        unknown = [(digest, _doubt(*said)) for digest, *said in self._database.execute("SELECT * FROM unknown")]
        Announcements(folder, self._compare).conclude(unknown)
        return sum(digest not in recorded for digest, _ in unknown)

    def _learned(self, folder: ResultsFolder) -> Iterator[Outcome]:
        """The outcomes of an execution; its rows that were announced and are not accounted for become unknown."""
        for digest, doubt in Announcements(folder, self._compare).rows():
            self._add("announced", digest, doubt)
        for outcome in recorded_outcomes(folder):
            digest = digest_of(self._compare(outcome.key))
            if _is_known(outcome) or (self._repeatable and self._ends_doubt(outcome)):
                self._database.execute("DELETE FROM announced WHERE digest = ?", (digest,))
            yield outcome
        for digest, *said in self._database.execute("SELECT * FROM announced").fetchall():
            self._add("unknown", digest, _doubt(*said))
        self._database.execute("DELETE FROM announced")

    def _add(self, table: str, digest: bytes, doubt: Doubt) -> None:
        """Remember one more sending of a row."""
        known = self._doubt_in(table, digest)
        whole = doubt if known is None else known | doubt
        names = (",".join(sorted(each)) for each in (whole.user_ids, whole.people))
        row = (digest, whole.since.isoformat(), whole.last.isoformat(), *names)
        self._database.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608 - ours

    def _doubt_in(self, table: str, digest: bytes) -> Doubt | None:
        sql = f"SELECT * FROM {table} WHERE digest = ?"  # noqa: S608 - our own
        found = self._database.execute(sql, (digest,)).fetchone()
        return _doubt(*found[1:]) if found else None

    def settled(self, outcome: Outcome) -> bool:
        """Whether an earlier try settled such a row; each recorded row answers for one row read."""
        sql = "UPDATE settled SET n = n - 1 WHERE digest = ? AND n > 0"
        return self._database.execute(sql, (self._digest(outcome),)).rowcount == 1

    def unknown(self, key: str) -> Doubt | None:
        """When such a row was sent before, if what became of it was never learned."""
        return self._doubt_in("unknown", digest_of(self._compare(key))) or self._assumed

    def created(self, key: str) -> str | None:
        """Id of the lead that an earlier execution of the task made of such a row."""
        sql = "SELECT id FROM created WHERE digest = ?"
        found = self._database.execute(sql, (digest_of(self._compare(key), "first"),)).fetchone()
        return str(found[0]) if found else None

    @staticmethod
    def _ends_doubt(outcome: Outcome) -> bool:
        return outcome.action is not Action.NOT_SENT and _space_of(outcome) == "first"

    def _digest(self, outcome: Outcome) -> bytes:
        return digest_of(self._compare(outcome.key), _space_of(outcome))


def _space_of(outcome: Outcome) -> str:
    # A repetition found by a look-up has the lead's id: the export alone shows it as a first row again.
    if outcome.action is Action.DUPLICATE_KEY and outcome.salesforce_id is None:
        return "repetition"
    return "unreadable" if outcome.error_code == "MALFORMED_ROW" else "first"


def _is_known(outcome: Outcome) -> bool:
    """Whether a row says what became of its own sending; a repetition, or a refusal before it was sent, does not."""
    if outcome.action is Action.NOT_SENT:
        return outcome.reason != Reason.OUTCOME_UNKNOWN
    return outcome.api is not None or outcome.action is Action.CREATED


def _doubt(since: str, last: str, users: str, people: str) -> Doubt:
    return Doubt(
        since=datetime.fromisoformat(since),
        last=datetime.fromisoformat(last),
        user_ids=frozenset(filter(None, users.split(","))),
        people=frozenset(filter(None, people.split(","))),
    )
