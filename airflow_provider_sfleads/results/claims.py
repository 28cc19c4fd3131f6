"""What runs on one memory tell each other: a small file a run, at the storage of their results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from airflow_provider_sfleads.results.files import Directory

#: Below ``results_path``: a folder for each memory on which runs take turns.
LEASES = "_leases"


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
        """The claim as JSON."""
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
        """Those to a memory.

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
        with self.directory.complete(_file(name)) as draft:
            draft.write_text(claim.dumps(), encoding="utf-8")

    def remove(self, name: str) -> None:
        """Remove a claim, if it is there."""
        if self.directory.has(_file(name)):
            self.directory.remove(_file(name))

    def path(self, name: str) -> str:
        """Where a claim lies."""
        return self.directory.file(_file(name))

    def _read(self, name: str) -> Claim:
        return Claim.loads(self.directory.read(name))


def digest_of(*names: str) -> str:
    """A file name for something that several names make out."""
    return hashlib.blake2b("\0".join(names).encode(errors="replace"), digest_size=12).hexdigest()


def _file(name: str) -> str:
    return f"{name}.json"
