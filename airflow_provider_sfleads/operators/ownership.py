"""Which process may write for a task instance: the one that took it last.

Airflow begins another try where it has lost the heartbeat of one, and the process of that one may only have been
frozen. Each process therefore takes the task instance under a token of its own before it reads what earlier ones left,
and shows before it writes that the token still stands:

1. announce, durably, which rows a request carries;
2. verify that the token stands;
3. send.

A newer process writes its token first and reads the announcements after that. Had an older process verified after the
newer one's token was written, it would have found it and sent nothing; so whatever it sends was verified, and hence
announced, before that token was written, and is read by the newer process. What remains is the time between 2 and 3: a
request that has not left for longer than :attr:`~.salesforce.settings.Settings.stale` is announced and verified anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

from tenacity import Retrying, stop_after_attempt, wait_exponential

from airflow_provider_sfleads.exceptions import DisownedError
from airflow_provider_sfleads.results.folder import StateStore

_KEY = "salesforce_leads_owner"
_TAKEN = (
    "Another try of this task has taken over, or Airflow has given this one up (its heartbeat was lost, or somebody "
    "cleared the task). This process writes nothing any more, neither to Salesforce nor to the results; the newer try "
    "goes on from what is recorded."
)
_GONE = (
    "That this try owns its task is not recorded any more: the entry is gone from Airflow's task state store or, where "
    "there is none, from results_path; see that it keeps what is written to it. This process writes nothing any more; "
    "a retry of the task goes on from what is recorded, and asks Salesforce about the rest."
)


@dataclass(slots=True)
class Ownership:
    """The hold that this process has on its task instance.

    :param store: where the owner is named; read after written, as Airflow's task state store is.
    """

    store: StateStore
    token: str = field(default_factory=lambda: uuid4().hex)
    _lost: str | None = None

    def take(self) -> None:
        """Become the owner, whoever was it before."""
        self.store.set(_KEY, {"token": self.token})

    def verify(self) -> None:
        """Return while this process is the owner.

        :raises DisownedError: from when on another process has taken over, or Airflow does not know this one any more.
        """
        if self._lost is None:
            owner = self._owner()
            if owner == {"token": self.token}:
                return
            self._lost = _GONE if owner is None else _TAKEN
        raise DisownedError(self._lost)

    def _owner(self) -> object:
        try:
            return self._asking()(self.store.get, _KEY)
        except Exception as error:
            raise DisownedError(
                f"Whether this try still owns its task cannot be asked, so nothing more is written: {error}"
            ) from error

    def _asking(self) -> Retrying:
        return Retrying(stop=stop_after_attempt(4), wait=wait_exponential(multiplier=0.05), reraise=True)
