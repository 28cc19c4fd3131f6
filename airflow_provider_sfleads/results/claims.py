"""What runs on one memory tell each other: a small file a run, at the storage of their results."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import uuid4

from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import files_below
from airflow_provider_sfleads.results.recorded import CLOCKS, created_ids

#: Below ``results_path``: a folder for each memory on which runs take turns.
LEASES = "_leases"
_FOLDER = "_claimed"
# Seconds for which a run waits for another one that is just deciding; longer than this it was killed on the way.
_PATIENCE, _PAUSE = 5.0, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One run's claim to a memory; it is there until what the run did is remembered.

    :param holder: the run, as people call it.
    :param interval_end: end of its data interval.
    :param since: when this process made the claim.
    :param expires_at: until when the process holds it, unless it renews it.
    :param token: tells the processes of one run apart.
    :param jobs: ids of ingest jobs that the run has begun.
    """

    holder: str
    interval_end: datetime
    since: datetime
    expires_at: datetime
    token: str
    jobs: tuple[str, ...] = ()

    def dumps(self) -> str:
        """Return the claim as JSON."""
        return json.dumps(asdict(self), default=datetime.isoformat)

    @classmethod
    def loads(cls, text: str | bytes) -> Claim:
        """Read what :meth:`dumps` wrote.

        :raises ValueError: it is something else.
        """
        try:
            said = json.loads(text)
            moments = {name: _moment(said[name]) for name in ("interval_end", "since", "expires_at")}
            return cls(holder=str(said["holder"]), token=str(said["token"]), jobs=tuple(said["jobs"]), **moments)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"This is no claim: {error}") from error


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("A claim's times have a zone.")
    return moment


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims to one memory.

    :param directory: where their files lie.
    """

    directory: Directory

    @classmethod
    def to(cls, root: Directory, *memory: str) -> Claims:
        """Return those to a memory.

        :param root: the folder that all runs on the memory write their results below.
        :param memory: what makes it this one.
        """
        return cls(root.child(LEASES).child(digest_of(*memory)))

    def others(self, name: str) -> Iterator[Claim | None]:
        """Yield the claims but one; ``None`` for a file that is none, and may once have been."""
        for other in self.directory.names():
            if other != _file(name) and other.endswith(".json"):
                try:
                    yield self._read(other)
                except FileNotFoundError:
                    # Its run is over just now.
                    continue
                except ValueError:
                    yield None

    def get(self, name: str) -> Claim | None:
        """Return a claim, if it is there and can be read."""
        try:
            return self._read(_file(name))
        except (FileNotFoundError, ValueError):
            return None

    def put(self, name: str, claim: Claim) -> None:
        """Write a claim."""
        self.directory.write(_file(name), claim.dumps())

    def remove(self, name: str) -> None:
        """Remove a claim, if it is there."""
        if self.directory.has(_file(name)):
            self.directory.remove(_file(name))

    def path(self, name: str) -> str:
        """Return where a claim lies."""
        return self.directory.file(_file(name))

    def _read(self, name: str) -> Claim:
        return Claim.loads(self.directory.read(name))


def digest_of(*names: str) -> str:
    """Return a file name for something that several names make out."""
    return hashlib.blake2b("\0".join(names).encode(errors="replace"), digest_size=12).hexdigest()


def _file(name: str) -> str:
    return f"{name}.json"


class LeadClaims:
    """Files beside the results that name leads; of two rows that take one lead, one gets it.

    A claim is written down before those of others are looked for, so that of two runs at least one sees the other.
    Where both are still asking, the one that comes second withdraws, and the first waits for that: the second may have
    looked before the first had asked, and have the leads already.

    :param folder: the execution's folder.
    """

    def __init__(self, folder: ResultsFolder) -> None:
        self._root, self._own = folder.of_dag, folder.directory
        self._directory = folder.directory.child(_FOLDER)

    def take(self, ids: Collection[str], since: datetime) -> set[str]:
        """Take leads for rows of this run; thread-safe.

        :param since: when the oldest of them was made.
        :return: those that are another row's already, by its results or by its claim.
        :raises ResultsError: where results cannot be read.
        """
        name, wanted = f"{uuid4().hex}.json", set(ids)
        self._write(name, wanted, is_granted=False)
        lost = self._claimed(self._directory.file(name), wanted, since)
        # In this order: a run forgets its claims when its results tell them.
        lost |= created_ids(self._root, list(wanted), since, apart_from=self._own)
        self._write(name, wanted - lost, is_granted=True)
        return lost

    def forget(self) -> None:
        """Remove them, once the results tell it."""
        self._directory.remove_all()

    def _claimed(self, own: str, wanted: set[str], since: datetime) -> set[str]:
        deadline = time.monotonic() + _PATIENCE
        while True:
            others = list(self._others(since))
            lost = {lead_id for path, ids, is_granted in others if is_granted or path < own for lead_id in ids}
            asking = {lead_id for _, ids, is_granted in others if not is_granted for lead_id in ids} & (wanted - lost)
            if not asking or time.monotonic() > deadline:
                return (lost | asking) & wanted
            time.sleep(_PAUSE)

    def _write(self, name: str, ids: Collection[str], *, is_granted: bool) -> None:
        self._directory.write(name, json.dumps({"ids": sorted(ids), "is_granted": is_granted}))

    def _others(self, since: datetime) -> Iterator[tuple[str, list[str], bool]]:
        """Yield what other runs have written down: its file, lead ids, and whether they have them or are just asking.

        Of two that ask at once, the lesser file comes first.
        """
        for name in files_below(self._root, since - CLOCKS, lambda name: f"/{_FOLDER}/" in name):
            path = self._root.file(name)
            if path.startswith(f"{self._own.path}/") or not path.endswith(".json"):
                continue
            try:
                said = json.loads(self._root.read(name))
            except FileNotFoundError:
                # Its run has ended just now.
                continue
            yield path, said["ids"], said["is_granted"]
