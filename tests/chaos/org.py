"""The org of a schedule: the emulator, what happens to it when, and what was sent to it."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.chaos.drawing import LATEST_COMMIT, Event, Schedule, Trouble

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from tests.chaos.door import Visit
    from tests.chaos.warehouse import Warehouse

_NAME = re.compile(rb"Zyx-Person-(\d+)")
_LEAD_ID = re.compile(rb"\b00Q[0-9A-Za-z]{15}\b")
_USUAL = {"bulk_rate": None, "bulk_delay": 0.0, "bulk_fail_after": None, "bulk_batch_rows": 10_000}
_PLENTY = {"bulk_batch_limit": 15_000}


@dataclass
class Org:
    """The emulated org of a schedule.

    :param story: what has happened; for whoever has to understand a failure.
    :param struck: counts what has happened.
    :param restart: clears the task.
    :param detach: takes away what holds the results.
    :param warehouse: where the sync writes back.
    """

    emulator: EmulatorServer
    schedule: Schedule
    story: list[str]
    struck: Counter[str]
    restart: Callable[[], object]
    detach: Callable[[], object]
    warehouse: Warehouse
    frozen: Visit | None = field(default=None, init=False)
    _wake: Event | None = field(default=None, init=False)
    sent: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    _events: list[Event] = field(default_factory=list)
    _seen: dict[int, int] = field(default_factory=dict)
    _timers: list[threading.Timer] = field(default_factory=list)
    _visits: list[Visit] = field(default_factory=list)
    _try: int = 0
    _keys: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.emulator.seed_leads(self.schedule.standing)
        self.before = {lead["External_Id__c"]: lead for lead in self.emulator.leads()}
        self.known = self._acquaintances()
        self._keys = {lead["Id"]: key for key, lead in self.before.items()}
        self._by_number = {row["last"].rpartition("-")[2]: key for key, row in self.schedule.wanted.items()}
        self.emulator.watch(self._see)

    def _acquaintances(self) -> list[dict[str, Any]]:
        """Leads without a key, and contacts, who have the address of a row; those who are leads."""
        people: dict[str, list[dict[str, Any]]] = {"lead": [], "contact": []}
        for key, what in self.schedule.by_mail.items():
            mail = self.schedule.wanted[key]["mail"]
            people[what].append({"LastName": f"Zyx-Known-{mail}", "Email": mail})
        ids = self.emulator.seed_leads([{**person, "Company": "Qqx-Known"} for person in people["lead"]])
        self.emulator.seed_contacts(people["contact"])
        return [lead for lead in self.emulator.leads() if lead["Id"] in set(ids)]

    def trouble(self, trouble: Trouble) -> None:
        """Let a try go wrong."""
        self.emulator.change_settings(**trouble.settings)
        for fault in trouble.faults:
            self.story.append(f"  fault {fault}")
            self.emulator.add_fault(**fault)
        self._seen = {}
        self._events = list(trouble.events)

    def let_in(self, visit: Visit, *, by_rows: bool = False) -> None:
        """Let a process begin; what is to happen after some time happens that long from now.

        :param by_rows: let it take the API that bulk's error advises.
        """
        self._try = visit.number
        if self._wake is not None:
            # What it meant was a moment in the try after it.
            self._events.append(self._wake)
            self._wake = None
        self._visits.append(visit)
        visit.let_in(by_rows=by_rows)
        self.arm()

    def arm(self) -> None:
        """Let happen what is to happen after some time."""
        for event in [event for event in self._events if event.at.method is None]:
            self._events.remove(event)
            self._after(event.at.delay, event)

    def calm(self) -> None:
        """End what goes wrong."""
        self._events = []
        while self._timers:
            self._timers.pop().cancel()
        self.warehouse.let_go()
        struck = [fault for fault in self.emulator.faults() if fault["hits"]]
        self.struck.update(fault["effect"] for fault in struck)
        if struck:
            hits = (f"{fault['effect']} x{fault['hits']}" for fault in struck)
            self.story.append(f"  struck: {', '.join(hits)}")
        self.emulator.clear_faults()
        self.emulator.change_settings(**_USUAL, **_PLENTY)
        self.emulator.set_api_usage(0)

    def settle(self) -> None:
        """Wait until nothing of what was sent is still to come."""
        deadline = time.monotonic() + 30
        while self.emulator.emulator.journal._open:
            assert time.monotonic() < deadline, "a request is never done"
            time.sleep(0.01)
        self.emulator.finish_jobs()

    def sales_move(self, trouble: Trouble) -> None:
        """Let Sales move some leads on."""
        if not trouble.moved:
            return
        self.settle()
        leads = self.emulator.leads()
        for place, stage in trouble.moved:
            lead = leads[int(place * len(leads))]
            if lead["Lead_Stage__c"] not in ("SAL", "SQL"):
                self.emulator.edit_lead(lead["Id"], Lead_Stage__c=stage)
        self.struck["Sales moves"] += 1
        self.story.append("  Sales moves some leads on")

    def sent_in(self, number: int) -> set[str]:
        """Keys of the rows that a try sent."""
        return {key for key, tries in self.sent.items() if number in tries}

    def too_late(self) -> list[dict[str, Any]]:
        """Requests that a busy machine carried out later than Salesforce would: a schedule with one proves nothing."""
        return [
            entry
            for entry in self.emulator.requests()
            if entry["status"] == 0 and entry["ended"] - entry["started"] > LATEST_COMMIT + 2.0
        ]

    def _see(self, sight: Sight) -> None:
        is_read = sight.method == "GET" or sight.target.endswith("/composite/sobjects/Lead")
        if sight.phase == "arrived" and not is_read and ("/composite/" in sight.target or "/batches" in sight.target):
            self._note_sent(sight.body[:])
        for event in list(self._events):
            at = event.at
            if at.method != sight.method or at.phase != sight.phase or not re.search(at.path, sight.target):
                continue
            self._seen[id(event)] = self._seen.get(id(event), 0) + 1
            if self._seen[id(event)] == at.nth:
                self._events.remove(event)
                # To clear a task takes time, and nobody would be served meanwhile.
                if at.delay or event.lag or event.what == "restart":
                    self._after(at.delay, event)
                else:
                    self._happen(event)

    def _note_sent(self, body: bytes) -> None:
        for number in _NAME.findall(body):
            self.sent[self._by_number.get(number.decode(), "")].add(self._try)
        for lead_id in _LEAD_ID.findall(body):
            self.sent[self._keys.get(lead_id.decode(), "")].add(self._try)

    def _after(self, seconds: float, event: Event) -> None:
        timer = threading.Timer(seconds, self._happen, [event])
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _happen(self, event: Event) -> None:
        visit = next((visit for visit in reversed(self._visits) if visit.inside and not visit.is_frozen), None)
        acts: dict[str, Callable[[], object]] = {
            "kill": lambda: visit is not None and visit.kill(),
            "term": lambda: visit is not None and visit.term(),
            "freeze": lambda: visit is not None and self._freeze(visit, event),
            "wake": lambda: self.wake(event.lag),
            "detach": self.detach,
            "hold": lambda: self.warehouse.hold(event.then, lambda: visit is not None and visit.kill()),
            "limit": lambda: self.emulator.set_api_usage(self.emulator.settings.api_limit),
            "restart": lambda: visit is not None and self.restart(),
            "expire": self.emulator.expire_tokens,
            "abort": lambda: self._end_jobs(self.emulator.abort_job),
            "fail": lambda: self._end_jobs(self.emulator.fail_job),
        }
        done = acts[event.what]()
        self.struck[event.what] += done is not False
        self.story.append(f"  {event.what} at {event.at}{'' if done is not False else ': in vain'}")

    def _freeze(self, visit: Visit, event: Event) -> bool:
        if self.frozen is not None or not visit.freeze():
            return False
        self.frozen = visit
        if event.wake is not None:
            self._wake = Event(what="wake", at=event.wake, lag=event.lag)
        return True

    def wake(self, lag: float = 0.0) -> bool:
        """Let the process that is frozen go on, if one is."""
        self._wake = None
        return self.frozen is not None and self.frozen.wake(lag)

    def _end_jobs(self, end: Callable[[str], None]) -> bool:
        running = [job["id"] for job in self.emulator.jobs() if job["state"] in ("UploadComplete", "InProgress")]
        for job_id in running:
            try:
                end(job_id)
            except LookupError:
                running.remove(job_id)
        return bool(running)
