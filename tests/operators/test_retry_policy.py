"""A retry comes when it can help."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_sfleads.exceptions import ApiLimitError, RowsNotSentError, SalesforceLeadsError
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator
from airflow_provider_sfleads.version_compat import HAS_RETRY_POLICIES

if not HAS_RETRY_POLICIES:
    pytest.skip("Airflow has retry policies from 3.3 on", allow_module_level=True)
from airflow.sdk import RetryAction

from airflow_provider_sfleads.operators.retry_policy import SalesforceRetryPolicy

FIVE = timedelta(minutes=5)


def error(seconds: float | None) -> SalesforceLeadsError:
    """Rows were not sent, and trying again helps in so many seconds."""
    found = RowsNotSentError("5 rows were not sent")
    found.retry_after = seconds
    return found


def context(delay: timedelta | None) -> Any:  # noqa: ANN401 - as far as it is looked at
    """A task's context."""
    return {"task": SimpleNamespace(retry_delay=delay)} if delay is not None else {}


@pytest.mark.parametrize(
    ("problem", "usual", "delay"),
    [
        (error(3600.0), FIVE, timedelta(hours=1)),
        (error(301.0), FIVE, timedelta(seconds=301)),
        (error(300.0), FIVE, None),
        (error(None), FIVE, None),
        (ValueError("something else"), FIVE, None),
        (error(3600.0), timedelta(seconds=59), None),
        (error(3600.0), timedelta(0), None),
        (error(3600.0), None, None),
        (error(1e9), FIVE, timedelta(days=1)),
    ],
)
def test_the_delay(problem: BaseException, usual: timedelta | None, delay: timedelta | None) -> None:
    """Longer where the error asks for it; never shorter, and as the author has it where it is under a minute."""
    decision = SalesforceRetryPolicy().evaluate(problem, 1, 3, context(usual))
    assert decision.retry_delay == delay
    assert decision.action is (RetryAction.DEFAULT if delay is None else RetryAction.RETRY)


def test_without_a_context_airflow_decides() -> None:
    """There is no delay to compare with."""
    assert SalesforceRetryPolicy().evaluate(error(3600.0), 1, 3).action is RetryAction.DEFAULT


def test_operators_have_it_unless_the_author_has_another() -> None:
    """An author's own policy stays."""

    class Own(SalesforceRetryPolicy):
        """Another one."""

    own = Own()
    given: dict[str, Any] = {"task_id": "t", "export": object(), "key": "k", "results_path": "/r", "fields": {"a": "B"}}
    assert type(SalesforceCreateLeadsOperator(**given).retry_policy) is SalesforceRetryPolicy
    assert SalesforceCreateLeadsOperator(**given, retry_policy=own).retry_policy is own
    assert SalesforceCreateLeadsOperator(**given, default_args={"retry_policy": own}).retry_policy is own


def test_it_survives_serialisation() -> None:
    """Airflow writes policies into its database."""
    assert type(SalesforceRetryPolicy.deserialize(SalesforceRetryPolicy().serialize())) is SalesforceRetryPolicy


def test_a_limit_says_when() -> None:
    """Errors carry no time unless they know one."""
    assert ApiLimitError("used up").retry_after is None
