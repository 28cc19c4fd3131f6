"""Serves recorded answers over a real socket: what is not recorded fails the test.

A recording is a JSON file::

    {"origin": "whose org, and where it was published",
     "answers": [{"request": "POST /services/data/v60.0/composite/sobjects", "body": ..., "status": 200,
                  "headers": {"sforce-limit-info": "api-usage=1/15000"}, "reply": ...}]}

`body` is what was sent and `reply` what came back, JSON or text. A token is always given by the stub itself: a recorded
one is redacted, and would lead the client to the recorded org. A recorded refusal of a token is replayed.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.salesforce.stub import TOKEN, Got, Say, Stub, serving

SAMPLES = Path(__file__).parent
# What the stub says of the connection itself, and of a body that it writes anew.
_OF_THE_WIRE = frozenset({"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"})
_REFUSED = 400
# Of the API version: one is recorded, and the client that is tested speaks another.
_VERSION = re.compile(r"/services/data/v[\d.]+")
_TOKEN = f"POST {TOKEN}"


def key_of(method: str, target: str) -> str:
    """Method and path, without query and API version."""
    return f"{method} {_VERSION.sub('/services/data/v*', target.partition('?')[0])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One recorded answer, and what it answers; `headers` in lower case."""

    request: str
    status: int
    reply: Any
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What it answers, as :func:`key_of` says it."""
        return key_of(*self.request.split(" ", 1))


def sample(name: str) -> dict[str, Any]:
    """What a file below `tests/samples` holds."""
    found: dict[str, Any] = json.loads((SAMPLES / name).read_text(encoding="utf-8"))
    return found


def answers(recording: Mapping[str, Any]) -> list[Answer]:
    """The answers of a recording; what else is noted of each is left out."""
    known = ("request", "status", "reply", "body", "headers")
    return [Answer(**{name: item[name] for name in known if name in item}) for item in recording["answers"]]


class Replay:
    """Answers each request with the next recorded answer to that method and path, of whatever API version."""

    def __init__(self, recorded: Sequence[Answer]) -> None:
        self.unrecorded: list[str] = []
        self._left: defaultdict[str, deque[Answer]] = defaultdict(deque)
        for answer in recorded:
            if answer.key != _TOKEN or answer.status >= _REFUSED:
                self._left[answer.key].append(answer)

    @property
    def left(self) -> list[str]:
        """What nobody has asked for, in no order."""
        return [answer.request for queue in self._left.values() for answer in queue]

    def token(self, got: Got, url: str) -> Say:
        """The recorded refusals, one after the other, and then a token for this stub."""
        if self._left.get(_TOKEN):
            return self(got)
        identity = "https://login.salesforce.com/id/00D5g00000AbCdEEAV/0055g00000FgHiJAAV"
        return Say(body={"access_token": f"token-{got.number}", "instance_url": url, "id": identity})

    def __call__(self, got: Got) -> Say:
        """The answer to a request."""
        key = key_of(got.method, got.path)
        queue = self._left.get(key)
        if not queue:
            self.unrecorded.append(key)
            return Say(_REFUSED, [{"errorCode": "NOT_RECORDED", "message": f"No answer to {key} is left"}])
        answer = queue.popleft()
        headers = {name.title(): value for name, value in answer.headers.items() if name not in _OF_THE_WIRE}
        return Say(answer.status, answer.reply.encode() if isinstance(answer.reply, str) else answer.reply, headers)


@contextmanager
def replaying(recorded: Sequence[Answer], *, whole: bool = False) -> Iterator[Stub]:
    """Run a stub that replays; a request without a recorded answer fails the test at the end.

    :param whole: whether an answer that nobody asked for fails it, too.
    """
    replay = Replay(recorded)
    with serving() as stub:
        stub.script = replay
        stub.token_script = lambda got: replay.token(got, stub.url)
        yield stub
    assert not replay.unrecorded, f"Requests without a recorded answer: {replay.unrecorded}"
    assert not (whole and replay.left), f"Recorded answers that nobody asked for: {replay.left}"
