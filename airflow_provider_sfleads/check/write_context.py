"""What the probes of a check know of each other's leads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from airflow_provider_sfleads.check.assumption import Assumption, Finding
from airflow_provider_sfleads.check.findings import Probe
from airflow_provider_sfleads.check.org import Org
from airflow_provider_sfleads.check.trial_leads import Trial
from airflow_provider_sfleads.check.values import Placed, Trip
from airflow_provider_sfleads.core.mapping import Record


class Need(StrEnum):
    """What a probe cannot do without, said as the reason where it is not there."""

    LEAD = "no trial lead could be made"
    SECOND = "a second trial lead could not be made"
    UPDATE = "trial leads could not be updated"
    RULE = "there is no active lead assignment rule, or the Run-As user may not see it"


@dataclass(slots=True, kw_only=True)
class WriteContext:
    """What was made, and what came of it.

    :param trial: sends and remembers.
    :param base: the first lead, as it was sent, less its owner.
    :param base_id: its id.
    :param second: another one.
    :param second_id: its id.
    :param updates: whether leads can be updated.
    :param worded: whether what Salesforce says of a key that exists is read at once, by the way that it was sent.
    :param odd: odd values in fields of this org.
    :param trips: odd values on their way there and back, by the way that they were sent.
    """

    trial: Trial
    base: Record | None = None
    base_id: str = ""
    second: Record = field(default_factory=dict)
    second_id: str = ""
    updates: bool = False
    worded: dict[str, bool] = field(default_factory=dict)
    odd: Placed = field(default_factory=Placed)
    trips: dict[str, Trip] = field(default_factory=dict)

    def probe(
        self, ask: Callable[[WriteContext], Iterable[Finding]], *assumptions: Assumption, needs: tuple[Need, ...]
    ) -> Probe:
        """Make a probe that is not tried where something it needs is not there.

        :param assumptions: those that it tries; the first stands for it where the question itself fails.
        """

        def asked(_org: Org) -> Iterator[Finding]:
            lacking = next((need for need in needs if not self._has(need)), None)
            if lacking is not None:
                yield from (assumption.not_tried(lacking.value) for assumption in assumptions)
                return
            yield from ask(self)

        return Probe.about(assumptions[0], asked)

    def _has(self, need: Need) -> bool:
        there = {
            Need.LEAD: lambda: self.base is not None,
            Need.SECOND: lambda: bool(self.second_id),
            Need.UPDATE: lambda: self.updates,
            Need.RULE: lambda: self.trial.active_rule() is not None,
        }
        return there[need]()
