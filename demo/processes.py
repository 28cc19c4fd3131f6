"""Child processes that go when the demo goes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_PATIENCE = 10.0  # seconds for a process to end by itself


class ChildDiedError(RuntimeError):
    """A program that the demo needs has ended."""


class Child:
    """A program in a process group of its own, so that Ctrl-C reaches it only through the demo.

    :param name: what to call it in messages.
    :param command: what to run.
    :param log: file for what it prints.
    :param env: its environment.
    :param account: user to run it as, where that is another one.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        account: str | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env if env is not None else os.environ),
                cwd="/" if account else None,
                start_new_session=True,
                user=account,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def check(self) -> None:
        """Fail where it has ended.

        :raises ChildDiedError: with the end of its log.
        """
        code = self._process.poll()
        if code is not None:
            last = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            raise ChildDiedError(
                f"{self.name} ended with exit code {code}; its log ({self.log}) closes with:\n" + "\n".join(last)
            )

    def stop(self) -> None:
        """End it, politely at first, and whatever it has started."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(child: Child) -> Iterator[Child]:
    """A child for as long as the block lasts."""
    try:
        yield child
    finally:
        child.stop()


def wait_until(ready: Callable[[], bool], *, seconds: float, what: str, children: Sequence[Child] = ()) -> None:
    """Poll until something is so.

    :param ready: whether it is so.
    :raises ChildDiedError: one of the children ended meanwhile.
    :raises TimeoutError: it did not become so.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        for child in children:
            child.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} was not ready within {seconds:.0f} seconds")
        time.sleep(0.1)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does, so that its children end too."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signals = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
