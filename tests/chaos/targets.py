"""Which requests a schedule can hit, with what, and when."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

Record = dict[str, Any]

_LOST = ("drop_before", "drop_after", "drop_then_commit", "truncate", "html_503")
_RESULTS = "/(successfulResults|failedResults|unprocessedrecords)$"
POLL = "/jobs/ingest/[^/]+$"
_PAGES = [
    ("POST", "/composite/sobjects$"),
    ("PATCH", "/composite/sobjects"),
]
_LOOKS = [("GET", r"/query"), ("POST", "/composite/sobjects/Lead")]
_JOBS = [
    ("POST", "/jobs/ingest$"),
    ("PUT", "/batches$"),
    ("PATCH", "/jobs/ingest/"),
    ("GET", POLL),
    ("GET", _RESULTS),
]
_QUERIES = [
    ("POST", "/jobs/query$"),
    ("GET", "/jobs/query/[^/]+$"),
    ("GET", "/jobs/query/[^/]+/results"),
]
_RARE = [("GET", "/describe$"), ("POST", "/oauth2/token$")]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A point in a try: when the ``nth`` request of a kind has arrived, or is done, or after some seconds.

    :param method: HTTP method of the request; ``None`` where only time counts.
    :param path: regular expression, found in its path and query.
    :param delay: seconds after that.
    """

    method: str | None = None
    path: str = ""
    nth: int = 1
    phase: Literal["arrived", "done"] = "arrived"
    delay: float = 0.0


def _kinds(api: str, mode: str) -> list[tuple[str, str]]:
    """Kinds of requests, those that a schedule is about more than once."""
    writes = _PAGES[:1] if mode in ("unique", "plain") else _PAGES[1:]
    if api == "collections":
        return [*writes * 6, *_LOOKS, *_RARE]
    looks = [*_QUERIES, *_LOOKS] if mode in ("upsert", "stage") else []
    return [*_JOBS * 2, *looks, *writes, *_RARE]


def moment(dice: random.Random, api: str, mode: str, pages: int) -> Moment:
    """Some point in a try.

    :param pages: about how many pages a try sends.
    """
    if dice.random() < 0.2:
        return Moment(delay=dice.random() * 1.2)
    return _request(dice, _kinds(api, mode), pages)


def working(dice: random.Random, api: str, mode: str, pages: int) -> Moment:
    """Some point in a try at which it is writing: a page is on its way, or a job.

    :param pages: about how many pages a try sends.
    """
    return _request(dice, _kinds(api, mode)[:1] if api == "collections" else _JOBS, pages)


def _request(dice: random.Random, kinds: list[tuple[str, str]], pages: int) -> Moment:
    method, path = dice.choice(kinds)
    return Moment(
        method=method,
        path=path,
        nth=dice.randint(1, pages) if (method, path) in _PAGES else 1,
        phase=dice.choice(("arrived", "done")),
        delay=dice.choice((0.0, 0.0, dice.random() * 0.05)),
    )


def poll(dice: random.Random) -> Moment:
    """A moment at which a slow job is under way."""
    return Moment(method="GET", path=POLL, nth=dice.randint(1, 3), phase=dice.choice(("arrived", "done")))


def fault(dice: random.Random, api: str, mode: str, pages: int) -> Record:
    """A rule for the emulator.

    :param pages: about how many pages a try sends.
    """
    method, path = dice.choice(_kinds(api, mode))
    effects: list[Record] = [
        *({"effect": name, "seconds": dice.choice((0.05, 0.3, dice.random()))} for name in _LOST * 3),
        {"effect": "delay", "seconds": dice.random() * 0.5},
        {"effect": "status", "status": 429, "headers": {"Retry-After": str(dice.randint(0, 1))}},
        {"effect": "status", "status": 500},
        {"effect": "invalid_session"},
        {"effect": "bad_request"},
        # What is held is a lead by its id, or by its name.
        {"effect": "lock", "key": rf"(^00Q.*|n-\d*){dice.randint(0, 9)}\w?$", "count": dice.randint(1, 3)},
    ]
    rule = dice.choice(effects)
    if rule["effect"] == "lock":
        return rule
    nth = dice.randint(1, pages) if (method, path) in _PAGES else 1
    # A page that is refused as a whole is halved until the guilty record stands alone; nobody is to find one here.
    most = 2 if rule["effect"] == "bad_request" else 9
    struck = {"nth": nth} if dice.random() < 0.5 else {"times": dice.randint(1, most)}
    chance = {"probability": dice.choice((0.3, 1.0)), "seed": dice.randrange(1_000)}
    return {**rule, **struck, **chance, "method": method, "path": path}


def settings(dice: random.Random, rows: int) -> Record:
    """How jobs go in one try."""
    drawn: Record = {"bulk_rate": dice.choice((None, None, 200.0, 400.0)), "bulk_delay": dice.choice((0.0, 0.0, 0.7))}
    luck = dice.random()
    if luck < 0.15:
        drawn["bulk_fail_after"] = dice.randint(0, rows)
    elif luck < 0.3:
        drawn |= {"bulk_batch_rows": max(1, rows // 5), "bulk_batch_limit": dice.randint(0, 4)}
    return drawn
