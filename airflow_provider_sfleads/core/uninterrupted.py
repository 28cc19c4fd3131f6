"""Steps that have to come to their end, whatever signals strike."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Lock, Thread, current_thread, main_thread


def uninterrupted(step: Callable[[], None]) -> None:
    """Carry a step out to its end, whatever signals strike; what it raises, or else the first of these, goes on then.

    Python runs the handlers of signals, such as those of Ctrl-C and of Airflow's ``execution_timeout``, in the main
    thread: a step in another one is never left half done.
    """
    if current_thread() is main_thread():
        _in_another_thread(step)
    else:
        step()


def _in_another_thread(step: Callable[[], None]) -> None:
    raised: list[BaseException] = []
    begun, done = Lock(), Event()

    def carry_out() -> None:
        # A signal that strikes while the thread is started has it started once more.
        if not begun.acquire(blocking=False):
            return
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - it goes on in the thread that waits
            raised.insert(0, error)
        finally:
            done.set()

    while not done.is_set():
        try:
            if not begun.locked():
                Thread(target=carry_out, name="uninterrupted").start()
            done.wait()
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises
            raised.append(error)
    if raised:
        raise raised[0]
