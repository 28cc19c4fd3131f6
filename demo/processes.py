"""Child processes that go when the demo goes."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]

_PATIENCE = 10.0  # seconds for a process to end by itself


class ChildDiedError(RuntimeError):
    """A program that the demo needs has ended."""


class Child:
    """A program in a session of its own, so that Ctrl-C reaches it only through the demo.

    :param name: what to call it in messages.
    :param command: what to run.
    :param log: file for what it prints.
    :param env: its environment.
    :param account: user to run it as, where that is another one.
    :param ends_on: the signal that ends it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        account: str | None = None,
        ends_on: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self._ends_on = ends_on
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
                group=pwd.getpwnam(account).pw_gid if account else None,
                extra_groups=[] if account else None,
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

    def ask_to_stop(self) -> None:
        """Tell it to end, and do not wait."""
        with suppress(ProcessLookupError):
            self._process.send_signal(self._ends_on)

    def stop(self) -> None:
        """End it, politely at first, and whatever it has started."""
        _finish_undisturbed()
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        # Airflow puts its tasks into process groups of their own, but they stay in the session.
        for pid in psutil.pids():
            with suppress(ProcessLookupError, PermissionError):
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(child: Child) -> Iterator[Child]:
    """Yield a child for as long as the block lasts."""
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


def watch(children: Sequence[Child]) -> None:
    """Wait until a signal ends the demo.

    :raises ChildDiedError: one of the children ended.
    """
    while True:
        for child in children:
            child.check()
        time.sleep(1)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def listen() -> None:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does."""
    for number in (*_SIGNALS, signal.SIGALRM):
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    # Airflow takes an interrupt for the failure of the task that runs in this process, and goes on: interrupts come
    # again until the demo is on its way out.
    signal.setitimer(signal.ITIMER_REAL, 1)
    raise KeyboardInterrupt


@contextmanager
def heeded() -> Iterator[None]:
    """Let no signal be lost in a block in which Airflow runs a task: it takes SIGTERM over for good."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    came = b""
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        listen()
        with suppress(BlockingIOError):
            came = os.read(reader, 1024)
        os.close(reader)
        os.close(writer)
    if set(came) & set(_SIGNALS):
        raise KeyboardInterrupt


def _finish_undisturbed() -> None:
    """Take no more interrupts: impatience must not leave programs running that are being ended."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
