"""Files of staged rows, and the folder they lie in: what a run still has to do is what lies there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Protocol

from airflow_provider_sfleads.pipeline.staged_rows import StagedWriter, placed, read_staged

if TYPE_CHECKING:
    import pyarrow as pa


class Role(StrEnum):
    """What is to be done with a piece.

    A *part* is to be looked up, a *load* goes out as one job, *pages* go through sObject Collections, and what
    became of *unknown* rows nobody knows, so that they may not be sent again.
    """

    PART = "part"
    LOAD = "load"
    PAGES = "pages"
    UNKNOWN = "unknown"


_NAME = re.compile(
    r"(?P<role>part|load|pages|unknown)-(?P<part>\d{5})-(?P<kind>\d+)-r(?P<round>\d+)(?P<doubt>d?)-n(?P<rows>\d+)\.arrow"
)


#: The kind of the slot of rows that Bulk cannot carry: no look-up has put them there.
APART = 8
#: What is added to the kind of a load for the slot of those of its rows that met a lead which nobody had found before.
_MET = 10


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Slot:
    """The place of a piece: what it comes from.

    :param part: number of the part of the export.
    :param kind: number of the plan's page kind.
    :param round: how often its rows came back, sent or not.
    :param in_doubt: whether a job may have written some of its rows, and nobody has heard of it.
    """

    part: int
    kind: int = 0
    round: int = 0
    in_doubt: bool = False

    @property
    def label(self) -> str:
        """The slot's name in the journal and in the marks of the results."""
        return f"{self.part:05}-{self.kind}-r{self.round}{'d' * self.in_doubt}"

    @property
    def next(self) -> Slot:
        """The slot of those of its rows that come back."""
        return replace(self, round=self.round + 1)

    @property
    def met(self) -> Slot:
        """The slot of those rows of the load in this slot that met a lead which nobody had found before."""
        return Slot(part=self.part, kind=self.kind + _MET, round=self.round + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file of staged rows."""

    role: Role
    slot: Slot
    rows: int

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.role}-{self.slot.label}-n{self.rows}.arrow"

    @property
    def mark(self) -> str:
        """The mark of results that settle it."""
        return f"{self.role}-{self.slot.label}"

    @property
    def is_doubtful(self) -> bool:
        """Whether a job has carried its rows, and nobody has heard what became of them."""
        return self.role is Role.UNKNOWN or self.slot.in_doubt

    def comes_of(self, source: Piece) -> bool:
        """Return whether it holds rows of a piece that was looked up, settled, or put back."""
        mine, theirs = self.slot, source.slot
        if mine.part != theirs.part:
            return False
        if source.role is Role.PART:
            return self.role in (Role.LOAD, Role.PAGES) and mine.round == theirs.round and mine.kind != APART
        if source.role is Role.LOAD and mine == theirs.met:
            return True
        if source.role is not Role.LOAD or mine.kind != theirs.kind:
            return False
        return mine.round == (theirs.round if self.role is Role.UNKNOWN else theirs.round + 1)


class Folder(Protocol):
    """A folder at a storage in which files appear under their name when they are complete."""

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine's disk."""

    def names(self) -> list[str]:
        """Return the names of the complete files."""

    def new_draft(self, name: str) -> Path:
        """Return a local path at which to write a file until it is complete."""

    def publish(self, draft: Path, name: str) -> None:
        """Make a complete draft appear under its name, durably."""

    def remove(self, name: str) -> None:
        """Remove a file."""

    def rename(self, name: str, new: str) -> None:
        """Give a file another name."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read."""


@dataclass(slots=True)
class Pieces:
    """The staged rows of an execution."""

    folder: Folder
    _writing: dict[tuple[Role, Slot], tuple[Path, StagedWriter]] = field(default_factory=dict)

    def in_jobs(self, jobs: Collection[str]) -> bool:
        """Return whether a job carries staged rows that it has not settled yet.

        :param jobs: labels of the loads that have a job.
        """
        return any(piece.slot.label in jobs for piece in self.all(Role.LOAD))

    def all(self, role: Role | None = None) -> list[Piece]:
        """Return the pieces there are, of one role or of all, in order."""
        matches = (_NAME.fullmatch(name) for name in self.folder.names())
        found = [
            Piece(
                role=Role(match["role"]),
                slot=Slot(
                    part=int(match["part"]),
                    kind=int(match["kind"]),
                    round=int(match["round"]),
                    in_doubt=bool(match["doubt"]),
                ),
                rows=int(match["rows"]),
            )
            for match in matches
            if match
        ]
        return sorted((p for p in found if role in (None, p.role)), key=lambda p: (p.slot, p.role))

    @contextmanager
    def reading(self, piece: Piece) -> Iterator[Iterator[pa.RecordBatch]]:
        """Yield the batches of a piece."""
        with self.folder.open(piece.name) as stream:
            yield (placed(batch) if piece.role is Role.LOAD else batch for batch in read_staged(stream))

    def add(self, role: Role, slot: Slot, batch: pa.RecordBatch) -> None:
        """Add rows to a piece that :meth:`publish` completes."""
        if not batch.num_rows:
            return
        if (role, slot) not in self._writing:
            draft = self.folder.new_draft(f"{role}-{slot.label}.arrow")
            self._writing[role, slot] = (draft, StagedWriter(draft, is_packed=not self.folder.is_local))
        self._writing[role, slot][1].write(batch)

    def size(self, role: Role, slot: Slot) -> int:
        """Return rows of a piece that is being written."""
        return self._writing[role, slot][1].rows if (role, slot) in self._writing else 0

    def pass_on(self, piece: Piece, role: Role) -> None:
        """Give all rows of a piece another role, as they are."""
        self.folder.rename(piece.name, replace(piece, role=role).name)

    def doubt(self, piece: Piece) -> None:
        """Note that the job of a load may have written its rows, and that nobody will hear of it."""
        self.folder.rename(piece.name, replace(piece, slot=replace(piece.slot.next, in_doubt=True)).name)

    def publish(
        self, roles: Mapping[Role, Role] = MappingProxyType({}), *, in_doubt: Collection[Slot] = ()
    ) -> list[Piece]:
        """Complete all pieces that are being written; one of the same place, left by a killed try, is replaced.

        :param roles: what is to be done after all with pieces of a role.
        :param in_doubt: slots some of whose rows a job may have written after all.
        """
        done: list[Piece] = []
        for (role, slot), (draft, writer) in self._writing.items():
            writer.close()
            place = replace(slot, in_doubt=slot.in_doubt or slot in in_doubt)
            piece = Piece(role=roles.get(role, role), slot=place, rows=writer.rows)
            for old in self.all(piece.role):
                if old.slot == place and old.rows != piece.rows:
                    self.remove(old)
            self.folder.publish(draft, piece.name)
            done.append(piece)
        self._writing.clear()
        return done

    def tidy(self, marks: Collection[str]) -> None:
        """Undo or complete the step in which an earlier try was killed.

        A piece whose outcomes are recorded is done with. Where they are not, the step is taken anew, and what it had
        staged by then must not stand beside what it will stage.

        :param marks: the marks of the results.
        """
        found = self.all()
        done = [piece for piece in found if piece.mark in marks]
        undone = [piece for piece in found if piece.mark not in marks]
        halves = [piece for piece in undone if any(piece.comes_of(source) for source in undone)]
        for piece in (*halves, *done):
            self.remove(piece)

    def drop_drafts(self) -> None:
        """Give up what is being written."""
        for draft, writer in self._writing.values():
            writer.close()
            draft.unlink(missing_ok=True)
        self._writing.clear()

    def remove(self, piece: Piece) -> None:
        """Remove a piece: all its rows are accounted for, or lie in other pieces."""
        self.folder.remove(piece.name)
