"""Lets a try die by SIGKILL at a chosen point of its code, as a worker dies that the machine's kernel kills."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point to die at.

    :param at: the method, as ``module:Class.method``.
    :param nth: at which of its calls.
    :param before: whether the method is not even begun; else it is carried out first.
    :param which: which calls are counted, by the method's arguments without ``self``.
    """

    at: str
    nth: int = 1
    before: bool = False
    which: Callable[..., bool] = lambda *_args, **_kwargs: True


def sent(method: str, *, to: str = "", body: object = None) -> Callable[..., bool]:
    """Calls of a method, to a path that ends so, with such a body."""
    return lambda call, *_: call.method == method and call.path.endswith(to) and body in (None, call.body)


def dies(monkeypatch: pytest.MonkeyPatch, point: Point) -> None:
    """Let every process forked from this one die at the point; this one lives on."""
    module, _, path = point.at.partition(":")
    owner, _, name = path.rpartition(".")
    target: Any = getattr(importlib.import_module(module), owner)
    original, here, seen = getattr(target, name), os.getpid(), [0]

    def method(self: object, *args: Any, **kwargs: Any) -> object:
        if os.getpid() == here or not point.which(*args, **kwargs):
            return original(self, *args, **kwargs)
        seen[0] += 1
        if seen[0] == point.nth and point.before:
            os.kill(os.getpid(), signal.SIGKILL)
        answer: object = original(self, *args, **kwargs)
        if seen[0] == point.nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    monkeypatch.setattr(target, name, method)
