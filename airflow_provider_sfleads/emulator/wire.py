"""What a handler receives and returns, and the errors it may raise: no web framework in sight."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.emulator.json_types import Json

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator

__all__ = ["ApiError", "Call", "Reply", "RowError", "Stream", "not_found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """Why one record was refused; `matches` are ids that a duplicate rule found."""

    code: str
    message: str
    fields: tuple[str, ...] = ()
    status: int = 400
    matches: tuple[str, ...] = ()
    allow_save: bool = False

    def in_collection(self) -> dict[str, Any]:
        """Return the form inside a collections result, which says `statusCode`."""
        return {"statusCode": self.code, "message": self.message, "fields": list(self.fields)}


class ApiError(Exception):
    """The whole call is refused with one of Salesforce's error bodies."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        fields: tuple[str, ...] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.headers = dict(headers or {})
        body: dict[str, Any] = {"message": message, "errorCode": code}
        if fields is not None:
            body["fields"] = list(fields)
        self.body: Any = [body]


def not_found(message: str = "The requested resource does not exist") -> ApiError:
    """404 in Salesforce's words."""
    return ApiError("NOT_FOUND", message, status=404)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A body that is made while it is sent; `size` is about how many bytes it will have."""

    pieces: Callable[[], Iterator[bytes]]
    size: int
    content_type: str = "text/csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer before it is serialised; `records` is what the request log counts.

    `stream` takes the place of `body`.
    """

    status: int = 200
    body: Any = None
    stream: Stream | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    records: int = 0

    def encoded(self) -> tuple[bytes, str]:
        """Return the body as bytes, and its content type."""
        if self.body is None:
            return b"", ""
        if isinstance(self.body, str):
            return self.body.encode(), "text/html; charset=UTF-8"
        text = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"))
        return text.encode(), "application/json;charset=UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a handler sees it; `number` counts requests since the last reset.

    `upload` is the file that holds the body, where the resource is one that takes large ones; it is
    deleted after the call unless the handler has moved it.
    """

    emulator: Emulator
    number: int
    method: str
    path: str
    template: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str
    allowed: tuple[str, ...] = ()
    upload: Path | None = None

    @property
    def version(self) -> float:
        """The API version in the path."""
        return float(self.params["version"])

    @property
    def prefix(self) -> str:
        """`/services/data/vXX.X`, as the client wrote it."""
        return f"/services/data/v{self.params['version']}"

    def json(self) -> Json:
        """Return the body as JSON, refused the way Salesforce refuses it."""
        content_type = self.headers.get("content-type", "")
        if content_type.split(";")[0].strip().lower() != "application/json":
            raise ApiError(
                "UNSUPPORTED_MEDIA_TYPE",
                f"Content-Type header specified in HTTP request is not supported: {content_type}",
                status=415,
            )
        return parse_json(self.body)


def parse_json(body: bytes) -> Json:
    """JSON of a request body; NaN and Infinity are no JSON, whatever Python thinks."""
    try:
        if b"\\ud" in body or b"\\uD" in body:
            # A lone surrogate cannot be stored as UTF-8; Java writes a question mark for it.
            whole = json.loads(body, parse_constant=_no_constant)
            text = json.dumps(whole, ensure_ascii=False)
            body = text.encode("utf-8", "replace")
        return json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        raise ApiError("JSON_PARSER_ERROR", f"Unexpected character in JSON at [line:{line}, column:{column}]") from None


def _no_constant(name: str) -> Json:
    message = f"{name} is not JSON"
    raise ValueError(message)
