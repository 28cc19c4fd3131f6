"""Files that appear under their name only when they are complete, at any storage.

Names are names here: what fsspec offers for many files at once (``rm``, ``mv``, ``cat``, ``get``, ``put``, ``glob``)
takes ``*``, ``?`` and ``[`` in any of them for a pattern, also in the folder's own. What is called instead takes one
path as it is; ``tests/packaging/test_literal_names.py`` says which calls these are.
https://filesystem-spec.readthedocs.io/en/latest/copying.html
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from posixpath import basename
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    import pyarrow.parquet as pq
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

REJECTS = "rejects.csv"
#: Modes on a local disk: what is written may be personal data, and is its user's alone.
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
_PERMISSIONS = 0o777
# What S3's and Azure's drivers cut off a path, whatever follows.
_VERSION = "?versionid="
# Requests to object storage at once, where each file takes one.
_TOGETHER = 16
#: Most bytes of JSON that are taken; a report of a thousand jobs has some thirty thousand.
MAX_JSON_BYTES = 1024 * 1024


def directory_at(url: str, *, conn_id: str | None = None) -> Directory:
    """Return the directory at a URL that ``ObjectStoragePath`` takes.

    :param conn_id: Airflow connection for remote storage.
    :raises ValueError: where no storage is known by such a URL, or its driver would not take the path as it is.
    :raises ImportError: where the storage's driver is not installed.
    """
    from airflow.sdk import ObjectStoragePath

    root = ObjectStoragePath(url, conn_id=conn_id)
    if _VERSION in root.path.lower():
        raise ValueError(f"{_VERSION!r} in a path names a version of a file; leave it out.")
    is_local = root.protocol in ("", "file", "local")
    path = os.path.abspath(root.path) if is_local else root.path  # noqa: PTH100  (no symlink is to be resolved)
    return Directory(root.fs, path.rstrip("/"), is_local, path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory at a storage.

    :param fs: the storage.
    :param path: the directory's path there.
    :param is_local: whether ``path`` is one of this machine's.
    :param base: the directory that people have named, or this one: its mode is theirs. On a local disk what is made
        below it is for this user alone.
    :param guard: called before anything is changed; raises where this process may not write any more.
    :param copies: where copies of the files that this process publishes at a remote storage are kept, and read in place
        of those; none where the folder around it is not there.
    """

    fs: AbstractFileSystem
    path: str
    is_local: bool
    base: str = ""
    guard: Callable[[], object] = field(default=lambda: None, compare=False, repr=False)
    copies: Path | None = field(default=None, compare=False, repr=False)

    @property
    def parent(self) -> Directory:
        """The directory that this one is in."""
        return replace(self, path=self.path.rstrip("/").rpartition("/")[0], copies=None)

    def child(self, name: str) -> Directory:
        """Return the directory of that name in this one."""
        return replace(self, path=self.file(name), copies=None)

    def file(self, name: str) -> str:
        """Return the path of a file in this directory."""
        return f"{self.path.rstrip('/')}/{name}"

    @property
    def link_problem(self) -> str | None:
        """What people are told where a link below ``base`` leads here; else ``None``."""
        base = self.base or self.path
        names = Path(self.path).relative_to(base).parts if self.is_local else ()
        if not any(Path(base, *names[: count + 1]).is_symlink() for count in range(len(names))):
            return None
        return (
            f"A link leads to the results in {self.path}, and it may lead anywhere. Only results_path itself may be a "
            "link."
        )

    @property
    def exists(self) -> bool:
        """Whether the directory is there."""
        return bool(self.fs.isdir(self.path))

    def has(self, name: str) -> bool:
        """Return whether there is a file of that name; others write here too, so no listing from before tells.

        As in listings, a link is none, nor is a pipe.
        """
        self.fs.invalidate_cache()
        if self.is_local and Path(self.file(name)).is_symlink():
            return False
        return bool(self.fs.isfile(self.file(name)))

    def names(self) -> list[str]:
        """Return the names of the complete files, sorted; none where the directory does not exist."""
        return self._entries("file")

    def folders(self) -> list[str]:
        """Return the names of the folders in this one, sorted; none where it does not exist."""
        return self._entries("directory")

    def _entries(self, kind: str) -> list[str]:
        self.fs.invalidate_cache()
        if not self.fs.isdir(self.path):
            return []
        entries = (entry for entry in self.fs.ls(self.path, detail=True) if entry["type"] == kind)
        # An object of the folder's own name, as S3's console makes one for a folder, is nothing in it.
        paths = [path for entry in entries if (path := entry["name"].rstrip("/")) != self.path.strip("/")]
        return sorted(name for name in map(basename, paths) if not name.startswith("."))

    def below(self, *, strict: bool = False) -> dict[str, Mapping[str, Any]]:
        """Return what the storage says of all files in the directory and those below it, by their names from here on.

        One listing, where the storage can do that.

        :param strict: whether a folder of this machine's that may not be read is an error, and not left out.
        """
        self.fs.invalidate_cache()
        if not self.exists:
            return {}
        # Other storages raise by themselves, and do not know the word.
        more = {"on_error": "raise"} if strict and self.is_local else {}
        found = self.fs.find(self.path, detail=True, **more)
        own = f"{self.path.strip('/')}/".lstrip("/")
        return {path.lstrip("/").removeprefix(own): info for path, info in found.items() if info["type"] != "directory"}

    def open(self, name: str) -> IO[bytes]:
        """Open a file to read; what Arrow reads of this machine's disks it copies but once.

        :raises OSError: also where it is a link, which may lead to any file of this user's, or a pipe, which may never
            end.
        """
        if self.is_local:
            import pyarrow as pa

            with regular(self.file(name)) as handle:
                native: IO[bytes] = pa.OSFile(f"/dev/fd/{handle}")
            return native
        if self.copies is not None and (self.copies / name).is_file():
            return (self.copies / name).open("rb")
        stream: IO[bytes] = self.fs.open(self.file(name), "rb")
        return stream

    @contextmanager
    def parquet(self, name: str, *, read_dictionary: Sequence[str] | None = None) -> Iterator[pq.ParquetFile]:
        """Open a Parquet file; raises as :meth:`open` does, and what Arrow does.

        :param read_dictionary: columns whose few different values are not spelled out.
        """
        import pyarrow.parquet as pq

        with self.open(name) as stream, pq.ParquetFile(stream, read_dictionary=read_dictionary) as file:
            yield file

    def read(self, name: str) -> bytes:
        """Return the content of a small file; raises as :meth:`open` does."""
        if self.is_local:
            return read_file(self.file(name))
        content: bytes = self.fs.cat_file(self.file(name))
        return content

    def read_many(self, sizes: Mapping[str, int]) -> dict[str, bytes | Exception]:
        """Return the beginnings of files, or what went wrong, by name; storages that can do so fetch them side by side.

        :param sizes: bytes to read of each, at least one.
        """
        if self.is_local:
            return {name: read_file_or_error(self.file(name), size) for name, size in sizes.items()}
        paths = [self.file(name) for name in sizes]
        found = self.fs.cat_ranges(paths, [0] * len(paths), list(sizes.values()), on_error="return")
        return dict(zip(sizes, found, strict=True))

    def write(self, name: str, text: str = "") -> None:
        """Write a small file."""
        with self.complete(name) as draft:
            draft.write_text(text, encoding="utf-8")

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.guard()
        self.fs.rm_file(self.file(name))
        if self.copies is not None:
            (self.copies / name).unlink(missing_ok=True)

    def rename(self, name: str, new: str) -> None:
        """Give a file another name; on object storage, where that is no single step, the old one goes last."""
        self.guard()
        if self.is_local:
            Path(self.file(name)).replace(self.file(new))
            return
        self.fs.cp_file(self.file(name), self.file(new))
        self.fs.rm_file(self.file(name))
        if self.copies is not None and (self.copies / name).is_file():
            (self.copies / name).replace(self.copies / new)

    def remove_all(self) -> None:
        """Remove the directory with all that is in it, if it exists."""
        if not self.fs.exists(self.path):
            return
        self.guard()
        if self.copies is not None:
            shutil.rmtree(self.copies, ignore_errors=True)
        if self.is_local:
            shutil.rmtree(self.path)
            return
        self.fs.invalidate_cache()
        found = self.fs.find(self.path, detail=True, withdirs=True)
        with ThreadPoolExecutor(_TOGETHER) as threads:
            list(threads.map(self.fs.rm_file, (path for path, info in found.items() if info["type"] != "directory")))
        folders = {path for path, info in found.items() if info["type"] == "directory"} | {self.path}
        for folder in sorted(folders, key=len, reverse=True):
            # Object storage has none: they went with what was in them.
            with suppress(OSError):
                self.fs.rmdir(folder)

    def new_draft(self, name: str) -> Path:
        """Return the local path at which to write the file ``name`` until it is complete.

        Locally it lies beside its final name, so that publishing it is one rename; its leading dot keeps it out of
        folder reads. For remote storage it is a temporary file, uploaded in one go. No two drafts have one name: what a
        process that was frozen cleans up once it wakes is its own.
        """
        if self.is_local:
            self.make()
            draft = Path(self.file(f".{name}.{uuid4().hex}.part"))
            draft.touch(PRIVATE_FILE, exist_ok=False)
            _set_mode(draft, PRIVATE_FILE)
            return draft
        handle, path = tempfile.mkstemp(prefix="sfleads-", suffix=f"-{name}")
        os.close(handle)
        return Path(path)

    def make(self) -> None:
        """Make the directory where it lies on this machine's disk; other storages need none."""
        if not self.is_local:
            return
        folder = Path(self.base or self.path)
        if not folder.exists():
            folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
            _set_mode(folder, PRIVATE_FOLDER)
        for name in Path(self.path).relative_to(folder).parts:
            folder /= name
            if not folder.is_dir():
                folder.mkdir(PRIVATE_FOLDER, exist_ok=True)
            _set_mode(folder, PRIVATE_FOLDER)

    def close_off(self) -> None:
        """Take what lies here from other users: a try by an earlier version of this package left that to the umask."""
        if not self.is_local or not self.exists:
            return
        self.make()
        for path in Path(self.path).rglob("*"):
            with suppress(FileNotFoundError):
                if not path.is_symlink():
                    _set_mode(path, PRIVATE_FOLDER if path.is_dir() else PRIVATE_FILE)

    def remove_drafts(self) -> None:
        """Remove what a killed worker left unfinished; remote storage never sees a draft."""
        self.guard()
        if self.is_local:
            for draft in Path(self.path).glob(".*.part"):
                draft.unlink(missing_ok=True)

    def publish(self, draft: Path, name: str) -> None:
        """Make a complete draft appear as the file ``name``, durably."""
        if self.is_local:
            with draft.open("rb") as stream:
                os.fsync(stream.fileno())
            # As late as can be: a process that is frozen between the two writes once it wakes.
            self.guard()
            draft.replace(self.file(name))
            _make_durable(self.path)
            return
        self.guard()
        self.fs.makedirs(self.path, exist_ok=True)
        self.fs.put_file(str(draft), self.file(name))
        if self.copies is not None and self.copies.parent.is_dir():
            self.copies.mkdir(PRIVATE_FOLDER, exist_ok=True)
            shutil.move(draft, self.copies / name)
        else:
            draft.unlink()

    @contextmanager
    def complete(self, name: str) -> Iterator[Path]:
        """Yield a draft path, and publish it when the block ends well."""
        draft = self.new_draft(name)
        try:
            yield draft
            self.publish(draft, name)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _set_mode(path: Path, mode: int) -> None:
    """Give a file or folder of this user's such a mode, whatever the umask.

    A set-group-ID bit stays. Some mounted storages know no modes: whom they show what is said where they are mounted.
    """
    found = path.stat()
    if found.st_uid != os.getuid() or found.st_mode & _PERMISSIONS == mode:
        return
    try:
        path.chmod(stat.S_IMODE(found.st_mode) & ~_PERMISSIONS | mode)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def _make_durable(directory: str) -> None:
    """Let a rename in a local directory outlast a power failure; some network file systems know no such call."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


@contextmanager
def regular(path: str) -> Iterator[int]:
    """Yield a descriptor of a file; a check before it is opened could be overtaken.

    :raises OSError: where it is a link, a pipe or the like.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "is no file, but a pipe or the like", path)
        yield handle
    finally:
        os.close(handle)


def read_file(path: str, size: int = -1) -> bytes:
    """Read a file, or its first bytes.

    :param size: how many.
    :raises OSError: as :func:`regular` does.
    """
    with regular(path) as handle, os.fdopen(handle, "rb", closefd=False) as stream:
        return stream.read(size)


def read_file_or_error(path: str, size: int) -> bytes | OSError:
    """Do as :func:`read_file`, but return its error."""
    try:
        return read_file(path, size)
    except OSError as error:
        return error


def small_json(content: bytes) -> object:
    """Return the value that such a text is; of what cannot be written as JSON again, such as NaN, it is none.

    :raises ValueError: for one that is too long, nested too deeply, or no JSON.
    """
    if len(content) > MAX_JSON_BYTES:
        raise ValueError(f"it has more than {MAX_JSON_BYTES:,} bytes")
    try:
        value: object = json.loads(content)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def read_small_json(directory: Directory, name: str) -> object:
    """Return the value that a file holds, of which no more is read than :data:`MAX_JSON_BYTES`.

    :raises ValueError: as :func:`small_json` does.
    :raises OSError: where the file cannot be read.
    """
    with directory.open(name) as stream:
        return small_json(stream.read(MAX_JSON_BYTES + 1))
