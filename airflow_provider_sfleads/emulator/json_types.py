"""The type of what JSON may hold: anything, which is checked where it is read."""

from __future__ import annotations

from typing import Any

Json = Any
