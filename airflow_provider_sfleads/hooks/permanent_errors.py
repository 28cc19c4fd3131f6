"""Tell Airflow which errors are permanent, and not worth another try of the task."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import ContextDecorator
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sfleads.exceptions import SalesforceLeadsError

Function = TypeVar("Function", bound=Callable[..., Any])


_FINAL: dict[type[SalesforceLeadsError], type[SalesforceLeadsError]] = {}


def final(kind: type[SalesforceLeadsError]) -> type[SalesforceLeadsError]:
    """Return the class that is both ``kind`` and what Airflow fails a task on at once; one per ``kind``."""
    if issubclass(kind, AirflowFailException):
        return kind
    if kind not in _FINAL:
        names = {"__doc__": kind.__doc__, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
        _FINAL.setdefault(kind, type(kind.__name__, (kind, AirflowFailException), names))
    return _FINAL[kind]


class no_retry_for_permanent(ContextDecorator):  # noqa: N801
    """Let errors that a retry cannot mend fail the task without one; a context manager and a decorator.

    Airflow judges by class. An error whose ``transient`` is false leaves as the same object, of a class that is also
    ``AirflowFailException``: ``except`` clauses, attributes, cause and traceback stay as they were. As a decorator it
    covers the iteration of generator functions too.
    """

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Mark the error, if there is one, and let it go on."""
        if isinstance(error, SalesforceLeadsError) and not error.transient:
            error.__class__ = final(type(error))

    def __call__(self, function: Function) -> Function:
        """Wrap a function or generator function."""
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with self:
                return (yield from function(*args, **kwargs))

        return generate  # type: ignore[return-value]
