from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sfleads.exceptions import (
    MappingError,
    ParameterError,
    RequestRefusedError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.hooks.permanent_errors import final, no_retry_for_permanent


def everything(kind: type[SalesforceLeadsError]) -> Iterator[type[SalesforceLeadsError]]:
    """A class and all below it that are this project's own."""
    yield kind
    for below in kind.__subclasses__():
        if not issubclass(below, AirflowFailException):
            yield from everything(below)


@pytest.mark.parametrize("kind", list(everything(SalesforceLeadsError)))
def test_every_error_class_can_be_final(kind: type[SalesforceLeadsError]) -> None:
    """One class per error, of the same name, that is both."""
    both = final(kind)
    assert issubclass(both, kind)
    assert issubclass(both, AirflowFailException)
    assert (both.__name__, both.__module__) == (kind.__name__, kind.__module__)
    assert final(kind) is both is final(both)


def test_the_error_stays_the_same_object() -> None:
    """Attributes, text, cause and traceback stay; except clauses go on to work."""
    original = RequestRefusedError("text", status=400, codes=("X",))
    cause = ValueError("why")

    def fail() -> None:
        raise original from cause

    with pytest.raises(RequestRefusedError) as caught, no_retry_for_permanent():
        fail()
    assert caught.value is original
    assert isinstance(caught.value, AirflowFailException)
    assert (caught.value.status, caught.value.codes, str(caught.value)) == (400, ("X",), "text")
    assert caught.value.__cause__ is cause
    assert caught.traceback[-1].name == "fail"


def test_special_constructors_and_second_bases_do_not_matter() -> None:
    """Errors that are built otherwise, or are a ValueError as well, are marked like any other."""
    with pytest.raises(MappingError) as mapping, no_retry_for_permanent():
        raise MappingError(("a", "b"))
    assert mapping.value.problems == ("a", "b")
    with pytest.raises(ValueError, match="p") as parameter, no_retry_for_permanent():
        raise ParameterError("p")
    assert isinstance(parameter.value, AirflowFailException)


@pytest.mark.parametrize("error", [ServiceUnavailableError("later"), ValueError("other")])
def test_what_may_pass_and_what_is_not_ours_is_left_alone(error: Exception) -> None:
    """Airflow's own retries apply."""
    with pytest.raises(type(error)) as caught, no_retry_for_permanent():
        raise error
    assert not isinstance(caught.value, AirflowFailException)


def test_functions_and_generators_are_covered() -> None:
    """A decorated generator marks what its iteration raises, and keeps its return value."""

    @no_retry_for_permanent()
    def plain() -> int:
        return 1

    @no_retry_for_permanent()
    def rows() -> Iterator[int]:
        yield 1
        raise ParameterError("p")

    assert plain() == 1
    found = rows()
    assert next(found) == 1
    with pytest.raises(AirflowFailException):
        next(found)
