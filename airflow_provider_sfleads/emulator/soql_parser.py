"""SOQL as a tree: a recursive-descent parser for the part of the language that is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_provider_sfleads.emulator.soql_tokens import Token, malformed, tokens
from airflow_provider_sfleads.emulator.wire import ApiError

_RESERVED = frozenset({"WHERE", "ORDER", "LIMIT", "OFFSET", "AND", "OR", "NOT", "FROM", "SELECT"})
_DEEPEST = 100
_MOST = 2**31 - 1
_COMPARISONS = frozenset({"=", "!=", "<>", "<", ">", "<=", ">="})


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A field against one literal, or against several (IN, NOT IN)."""

    field: Token
    operator: str
    literals: tuple[Token, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logic:
    """AND or OR over two and more conditions, NOT over one."""

    operator: Literal["AND", "OR", "NOT"]
    parts: tuple[Condition, ...]


Condition = Comparison | Logic


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One term of ORDER BY."""

    field: Token
    descending: bool
    nulls_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A whole query; no fields means `COUNT()`."""

    text: str
    fields: tuple[Token, ...]
    object: Token
    where: Condition | None
    order: tuple[Order, ...]
    limit: int | None
    offset: int | None


def parse(text: str) -> Query:
    """Return the tree of a query, or MALFORMED_QUERY."""
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _accept(self, *words: str) -> bool:
        following = self._tokens[self._at : self._at + len(words)]
        if len(following) == len(words) and all(t.says(w) for t, w in zip(following, words, strict=True)):
            self._at += len(words)
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            self._unexpected(f"expecting '{word}'")

    def _unexpected(self, wish: str) -> None:
        token = self._next
        malformed(self._text, token.at, f"unexpected token: '{token.text}', {wish}")

    def _name(self) -> Token:
        token = self._next
        if token.kind != "name" or token.text.upper() in _RESERVED:
            self._unexpected("expecting a name")
        return self._take()

    def query(self) -> Query:
        self._expect("SELECT")
        fields = self._selected()
        self._expect("FROM")
        subject = self._name()
        where = self._condition() if self._accept("WHERE") else None
        order = self._order() if self._accept("ORDER", "BY") else ()
        limit = self._count() if self._accept("LIMIT") else None
        offset = self._count() if self._accept("OFFSET") else None
        if self._next.kind != "end":
            self._unexpected("expecting the end of the query")
        return Query(
            text=self._text, fields=fields, object=subject, where=where, order=order, limit=limit, offset=offset
        )

    def _selected(self) -> tuple[Token, ...]:
        if self._accept("COUNT", "(", ")"):
            return ()
        found = [self._name()]
        while self._accept(","):
            found.append(self._name())
        return tuple(found)

    def _condition(self) -> Condition:
        parts = [self._term()]
        operators: tuple[Literal["AND", "OR"], ...] = ("AND", "OR")
        operator = next((word for word in operators if self._next.says(word)), None)
        if operator is None:
            return parts[0]
        while self._accept(operator):
            parts.append(self._term())
        if self._next.says("AND") or self._next.says("OR"):
            # As in Salesforce, which wants to be told which of the two goes first.
            self._unexpected("AND and OR without parentheses")
        return Logic(operator=operator, parts=tuple(parts))

    def _term(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ApiError("QUERY_TOO_COMPLICATED", "The conditions are nested too deeply")
        term = self._innermost()
        self._depth -= 1
        return term

    def _innermost(self) -> Condition:
        if self._accept("NOT"):
            return Logic(operator="NOT", parts=(self._term(),))
        if self._accept("("):
            inside = self._condition()
            self._expect(")")
            return inside
        return self._comparison()

    def _comparison(self) -> Comparison:
        field = self._name()
        if self._accept("NOT", "IN"):
            return Comparison(field=field, operator="NOT IN", literals=self._list())
        if self._accept("IN"):
            return Comparison(field=field, operator="IN", literals=self._list())
        if self._accept("LIKE"):
            return Comparison(field=field, operator="LIKE", literals=(self._literal(),))
        if self._next.kind != "symbol" or self._next.text not in _COMPARISONS:
            self._unexpected("expecting a comparison")
        operator = self._take().text
        return Comparison(field=field, operator="!=" if operator == "<>" else operator, literals=(self._literal(),))

    def _list(self) -> tuple[Token, ...]:
        self._expect("(")
        found = [self._literal()]
        while self._accept(","):
            found.append(self._literal())
        self._expect(")")
        return tuple(found)

    def _literal(self) -> Token:
        token = self._next
        words = {"TRUE", "FALSE", "NULL"}
        if token.kind in {"symbol", "end"} or (token.kind == "name" and token.text.upper() not in words):
            self._unexpected("expecting a literal")
        return self._take()

    def _order(self) -> tuple[Order, ...]:
        found = [self._order_term()]
        while self._accept(","):
            found.append(self._order_term())
        return tuple(found)

    def _order_term(self) -> Order:
        field = self._name()
        descending = self._accept("DESC")
        if not descending:
            self._accept("ASC")
        nulls_last = self._accept("NULLS", "LAST")
        if not nulls_last:
            self._accept("NULLS", "FIRST")
        return Order(field=field, descending=descending, nulls_last=nulls_last)

    def _count(self) -> int:
        token = self._next
        if token.kind != "number" or not token.text.isdigit():
            self._unexpected("expecting a number")
        return min(int(self._take().text), _MOST)
