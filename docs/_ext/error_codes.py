"""The directive ``error-codes``: the package's own table of Salesforce's error codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sphinx.util.docutils import SphinxDirective

from airflow_provider_sfleads.salesforce.error_codes import BEARER_TABLE, TABLE, TOKEN_TABLE, ErrorCode

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

_TABLES = {"records": TABLE, "logins": TOKEN_TABLE, "bearer": BEARER_TABLE}


class ErrorCodes(SphinxDirective):
    """Lists the codes of ``records``, which are those of requests and jobs as well, of ``logins``, or of ``bearer``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return a list of definitions: codes are too long for a table with so many columns."""
        entries = _TABLES[self.arguments[0]]
        return self.parse_text_to_nodes("\n\n".join(_definition(entry, is_row=entries is TABLE) for entry in entries))


def _definition(entry: ErrorCode, *, is_row: bool) -> str:
    # What a pattern says beside plain words is for programs.
    words = re.sub(r"[\\^(].*", "", entry.words.lstrip("^")).split("|")
    told = ", ".join(each.strip() for each in words if each.strip() not in ("", entry.code))
    advice = entry.advice + (f" Of rows: {entry.row_advice}" if entry.row_advice else "")
    # Names and parameters are code, for which quotes stay straight.
    advice = re.sub(r"([{}])", r"\\\1", re.sub(r"\w+='\w+'|\w+_\w+", r"`\g<0>`", advice))
    fate = f"A row is {entry.row}; a request or a job ends in" if is_row else "A login ends in"
    term = f"`{entry.code}`" + (f" ({told})" if told else "")
    return f"{term}\n: **{entry.mender}**{f': {advice}' if advice else '.'}\n\n  {fate} `{entry.raises.__name__}`."


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directive."""
    app.add_directive("error-codes", ErrorCodes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
