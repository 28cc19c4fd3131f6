"""Steps that have to come to their end, whatever signals strike."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread

log = logging.getLogger(__name__)


def uninterrupted(step: Callable[[], None]) -> None:
    """Carry a step out to its end in another thread, and wait for it, however often the wait is interrupted.

    Python runs the handlers of signals, such as those of Ctrl-C and of Airflow's ``execution_timeout``, in the main
    thread. What they raise meanwhile is dropped: the caller has an exception of its own to go on with.
    """
    done = Event()

    def carry_out() -> None:
        try:
            step()
        except Exception:
            log.exception("While the try was broken off:")
        finally:
            done.set()

    Thread(target=carry_out, name="breaking-off").start()
    while not done.is_set():
        try:
            done.wait()
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises
            log.warning("Interrupted once more (%s); the try is still accounted for.", type(error).__name__)
