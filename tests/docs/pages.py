"""The pages that people read, the blocks of code on them, and what stands in the comment above a block."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts))
# Directives whose body is not Markdown.
_NO_MARKDOWN = ("{commands}", "{error-codes}", "{eval-rst}", "{include}", "{toctree}")
_NOTE = re.compile(r"<!--\s*(test|exit):\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A block of code.

    :param line: where it begins on its page, counted from 1.
    :param language: ``indented`` for a block without a fence, which can say none.
    :param test: the file of the test that runs it, where it cannot run by itself: ``<!-- test: tests/... -->``; on the
        recipe of a release also why no test can: ``<!-- test: skip, it cannot be taken back -->``.
    :param exit_code: what its last command ends with: ``<!-- exit: 1 -->``.
    """

    page: Path
    line: int
    language: str
    text: str
    test: str | None = None
    exit_code: int = 0

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    return list(_blocks(page, page.read_text(encoding="utf-8"), first=1))


def blocks_in(*languages: str) -> list[Block]:
    """The blocks of all pages in some languages."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]


def _blocks(page: Path, text: str, *, first: int) -> Iterator[Block]:
    tokens = MarkdownIt("commonmark").parse(text)
    for number, token in enumerate(tokens):
        if token.type not in ("fence", "code_block"):
            continue
        line = first + (token.map or [0])[0]
        if token.info.startswith("{"):
            if not token.info.startswith(_NO_MARKDOWN):
                yield from _blocks(page, token.content, first=line + 1)
            continue
        notes = _notes_above(tokens[:number])
        yield Block(
            page=page,
            line=line,
            language=token.info.strip() if token.type == "fence" else "indented",
            text=token.content,
            test=notes.get("test"),
            exit_code=int(notes.get("exit", "0")),
        )


def _notes_above(tokens: Sequence[Token]) -> dict[str, str]:
    comments = takewhile(lambda token: token.type == "html_block", reversed(tokens))
    return dict(note for token in comments for note in _NOTE.findall(token.content))
