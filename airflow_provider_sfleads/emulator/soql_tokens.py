"""SOQL's words: tokens and the literals they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from airflow_provider_sfleads.emulator.wire import ApiError

Kind = Literal["string", "datetime", "date", "number", "name", "symbol", "end"]

_TOKEN = re.compile(
    r"""
      (?P<string>'(?:[^'\\\r\n]|\\.)*')
    | (?P<datetime>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2}))
    | (?P<date>\d{4}-\d{2}-\d{2}(?![\dT]))
    | (?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<name>[A-Za-z][A-Za-z0-9_.]*)
    | (?P<symbol><=|>=|!=|<>|[=<>(),])
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_ESCAPE = re.compile(r"\\(.)")
MAX_STRING = 4000


@dataclass(frozen=True, slots=True)
class Token:
    """One word, and where it starts."""

    kind: Kind
    text: str
    at: int

    def says(self, word: str) -> bool:
        """Return whether it is this keyword or symbol."""
        return self.kind in {"name", "symbol"} and self.text.upper() == word


def malformed(query: str, at: int, message: str) -> NoReturn:
    """Refuse a query, in the form in which Salesforce points at the place."""
    around = query[max(0, at - 30) : at + 30]
    pointer = " " * min(at, 30) + "^"
    row = query.count("\n", 0, at) + 1
    raise ApiError("MALFORMED_QUERY", f"\n{around}\n{pointer}\nERROR at Row:{row}:Column:{at + 1}\n{message}")


def tokens(query: str) -> list[Token]:
    """Return all words of a query."""
    found: list[Token] = []
    at = _end_of_space(query, 0)
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None:
            malformed(query, at, f"unexpected token: '{query[at]}'")
        kind: Kind = match.lastgroup  # type: ignore[assignment]
        found.append(Token(kind, match[0], at))
        at = _end_of_space(query, match.end())
    found.append(Token("end", "<EOF>", len(query)))
    return found


def _end_of_space(query: str, at: int) -> int:
    match = _SPACE.match(query, at)
    return match.end() if match else at


def string_value(token: Token, query: str) -> str:
    """Return what a string literal stands for."""
    return _unescaped(token, query, like=False)


def like_pattern(token: Token, query: str) -> str:
    r"""Return a LIKE literal as an SQL pattern with `\` as its escape character."""
    return _unescaped(token, query, like=True)


def _unescaped(token: Token, query: str, *, like: bool) -> str:
    def one(match: re.Match[str]) -> str:
        char = match[1]
        if char in "_%" and like:
            return "\\" + char
        if char not in _ESCAPES:
            illegal = f"Invalid string literal {token.text}. Illegal character sequence '\\{char}' in string literal."
            malformed(query, token.at + match.start(), illegal)
        return "\\\\" if like and char == "\\" else _ESCAPES[char]

    value = _ESCAPE.sub(one, token.text[1:-1])
    if len(value) > MAX_STRING:
        malformed(query, token.at, f"string literal is longer than {MAX_STRING} characters")
    return value
