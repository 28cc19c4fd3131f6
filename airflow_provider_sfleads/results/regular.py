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


def beginning(path: str, size: int = -1) -> bytes:
    """Read so many bytes of a file, or all; raises as :func:`regular` does."""
    with regular(path) as handle, os.fdopen(handle, "rb", closefd=False) as stream:
        return stream.read(size)


def beginning_or_problem(path: str, size: int) -> bytes | OSError:
    """The same, with what goes wrong returned."""
    try:
        return beginning(path, size)
    except OSError as problem:
        return problem
