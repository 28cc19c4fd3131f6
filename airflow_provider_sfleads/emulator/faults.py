"""Faults on demand: which request goes wrong, and how."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from mmap import mmap
from typing import Any, Literal, get_args

from airflow_provider_sfleads.emulator.drafts import Draft
from airflow_provider_sfleads.emulator.json_types import Json

Effect = Literal[
    "drop_before", "drop_after", "drop_then_commit", "delay", "truncate", "html_503", "status",
    "invalid_session", "bad_request", "lock", "race",
]  # fmt: skip

# These go by what a record holds, and not by its request.
_OF_RECORDS = ("lock", "race")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A rule: requests that match it go wrong.

    Which: `method` and `path` (a regular expression found in path and query), `body` (a regular
    expression found in the request body); of the matching requests the `nth` (1 is the first; None is
    all), at most `times` of them, each with `probability` drawn from `seed`.

    How, by `effect`:

      - `drop_before`: the connection closes without an answer, nothing was done;
      - `drop_after`: it closes without an answer, everything was done;
      - `drop_then_commit`: it closes at once, and everything is done `seconds` later;
      - `delay`: the answer comes `seconds` late;
      - `truncate`: the answer breaks off half way;
      - `html_503`: an HTML maintenance page;
      - `status`: this `status`, `reply` (JSON or text) and `headers`, such as 429 with Retry-After;
      - `invalid_session`: 401 `INVALID_SESSION_ID`, whatever the token;
      - `bad_request`: 400 for the whole call, in the words of `reply` if given;
      - `lock`: records that hold a value in which `key` (a regular expression) is found fail with
        `UNABLE_TO_LOCK_ROW`, each of them `count` times. `method`, `path` and `body` play no part;
      - `race`: upserts of records that hold such a value do not find their lead, each of them `count`
        times, as where another's insert commits between an upsert's look and its write: their own insert
        then meets the unique field. An upsert whose lead is not there loses no race, and is not counted.

    The emulator gives the `id`.
    """

    effect: Effect
    method: str | None = None
    path: str = ""
    body: str = ""
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float = 0.0
    status: int = 500
    reply: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    count: int = 1
    id: int = 0

    def __post_init__(self) -> None:
        if self.effect not in get_args(Effect):
            message = f"Unknown effect {self.effect!r}; known are {list(get_args(Effect))}"
            raise ValueError(message)
        for pattern in (self.path, self.body, self.key):
            re.compile(pattern)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fault:
        """Return a rule from a JSON object with these attribute names."""
        known = {item.name for item in fields(cls)} - {"id"}
        unknown = sorted(set(data) - known)
        if unknown or "effect" not in data:
            message = f"A fault takes {sorted(known)} and needs an effect; unknown: {unknown}"
            raise ValueError(message)
        return cls(**data)


@dataclass(slots=True)
class _Rule:
    fault: Fault
    chance: random.Random
    matched: int = 0
    hits: int = 0
    struck: Counter[str] = field(default_factory=Counter)

    def hit(self, method: str, target: str, body: bytes | mmap) -> bool:
        if not self._fits(method, target, body):
            return False
        fault = self.fault
        self.matched += 1
        spent = fault.times is not None and self.hits >= fault.times
        turn = fault.nth is None or self.matched == fault.nth
        if spent or not turn or self.chance.random() >= fault.probability:
            return False
        self.hits += 1
        return True

    def _fits(self, method: str, target: str, body: bytes | mmap) -> bool:
        fault = self.fault
        if fault.method and fault.method.upper() != method:
            return False
        if not re.search(fault.path, target):
            return False
        return not fault.body or re.search(fault.body.encode(), body) is not None

    def strikes(self, value: str) -> bool:
        if self.struck[value] >= self.fault.count:
            return False
        self.struck[value] += 1
        self.hits += 1
        return True


class Faults:
    """All rules; the first that matches a request has its way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._next_id = 1

    def add(self, fault: Fault) -> int:
        """Add a rule and say its id."""
        with self._lock:
            number, self._next_id = self._next_id, self._next_id + 1
            chance = random.Random(fault.seed)  # noqa: S311 - repeatable by design
            self._rules.append(_Rule(replace(fault, id=number), chance))
            return number

    def clear(self, fault_id: int | None = None) -> None:
        """Remove one rule, or all."""
        with self._lock:
            self._rules = [r for r in self._rules if fault_id is not None and r.fault.id != fault_id]

    def to_json(self) -> list[dict[str, Any]]:
        """Return the rules, with how often each matched and struck."""
        with self._lock:
            return [{**asdict(r.fault), "matched": r.matched, "hits": r.hits} for r in self._rules]

    def pick(self, method: str, target: str, body: bytes | mmap) -> Fault | None:
        """Return the fault of this request, if it has one."""
        with self._lock:
            for rule in self._rules:
                if rule.fault.effect not in _OF_RECORDS and rule.hit(method, target, body):
                    return rule.fault
        return None

    def locked(self, draft: Draft) -> bool:
        """Return whether somebody else holds this record just now."""
        return self._strikes("lock", draft)

    def overtaken(self, draft: Draft) -> bool:
        """Return whether the lead of this upsert is committed only after the upsert has looked for it."""
        return self._strikes("race", draft)

    def _strikes(self, effect: Effect, draft: Draft) -> bool:
        with self._lock:
            rules = [rule for rule in self._rules if rule.fault.effect == effect]
            if not rules:
                return False
            values = [v for v in (draft.id, *draft.sent.values()) if isinstance(v, str)]
            for rule in rules:
                found = next((v for v in values if re.search(rule.fault.key, v)), None)
                if found is not None:
                    return rule.strikes(found)
        return False


def bad_request_body(fault: Fault) -> Json:
    """Return what a whole call is refused with."""
    if fault.reply is not None:
        return fault.reply
    return [{"message": "The request could not be understood", "errorCode": "JSON_PARSER_ERROR"}]
