"""When Airflow tries a task again: not before it can help."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_sfleads.exceptions import SalesforceLeadsError

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

# Who asks for another try so soon has a reason, such as a test.
_AT_ONCE = timedelta(minutes=1)
_LONGEST = timedelta(days=1)


class SalesforceRetryPolicy(RetryPolicy):
    """Stretches a task's ``retry_delay`` where an error says that trying again helps only later.

    A request limit of the org comes back bit by bit in the hours after it was reached, and what became of a plain
    insert without an answer can be told when Salesforce can no longer carry it out. A ``retry_delay`` below one minute
    is left as it is, and ``retries`` stays the limit.

    Airflow, "Retry policies".
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,  # noqa: ARG002 - Airflow's signature
        max_tries: int,  # noqa: ARG002
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide after a failed try."""
        task = context.get("task") if context is not None else None
        usual = getattr(task, "retry_delay", None)
        wait = exception.retry_after if isinstance(exception, SalesforceLeadsError) else None
        if wait is None or not isinstance(usual, timedelta) or usual < _AT_ONCE or wait <= usual.total_seconds():
            return RetryDecision.default()
        delay = min(timedelta(seconds=wait), _LONGEST)
        return RetryDecision.retry(delay=delay, reason=f"Trying again earlier than in {delay} does not help.")

    def serialize(self) -> dict[str, Any]:
        """Say what there is to say of it: nothing."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:  # noqa: ARG003 - Airflow's signature
        """Make one again."""
        return cls()
