"""Opens files of this machine's disks that are files, and nothing that only bears a file's name.

Whoever may write to ``results_path`` can leave a link there, which may lead to any file of this user's, or a pipe,
which may never end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


def link_below(base: str, path: str) -> str | None:
    """Say what is wrong where a link leads from one directory to one below it; ``None`` where there is no link."""
    names = Path(path).relative_to(base).parts
    if not any(Path(base, *names[: count + 1]).is_symlink() for count in range(len(names))):
        return None
    return f"A link leads to the results in {path}, and it may lead anywhere. Only results_path itself may be a link."
