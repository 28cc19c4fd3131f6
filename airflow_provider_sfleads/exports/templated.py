"""What the values in a Dag file that carry Jinja have in common: how they print and compare."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from os import PathLike, fspath
from typing import ClassVar

_SECRET_NAME = re.compile(r"passw|secret|token|api_?key|private_?key|authorization", re.IGNORECASE)
_PRINTED_AS_THEY_ARE = (str, bytes, int, float, Decimal, date, time, type(None))


class Templated:
    """Base of values whose ``template_fields`` Airflow renders inside an operator's own template field.

    Airflow sets the rendered fields, so these values are not frozen. The ``repr`` is what the UI shows under
    *Rendered template*: it holds no object address, which would make each parse of the Dag a new version of it,
    and hides values that are named like a secret.
    """

    template_fields: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={printed(value)}" for name, value in vars(self).items())
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equality changes when the fields are rendered


def printed(value: object) -> str:
    """Return ``value`` as the ``repr`` of a :class:`Templated` shows it."""
    if isinstance(value, Mapping):
        pairs = ((key, "'***'" if _SECRET_NAME.search(str(key)) else printed(item)) for key, item in value.items())
        return "{" + ", ".join(f"{key!r}: {item}" for key, item in pairs) + "}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(printed(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, PathLike):
        return repr(str(fspath(value)))
    if isinstance(value, _PRINTED_AS_THEY_ARE):
        return repr(value)
    text = repr(value)
    return f"<{type(value).__name__}>" if " at 0x" in text else text
