"""Pieces that the pages share. Whatever comes from a lead goes through `text`."""

from __future__ import annotations

from html import escape

from airflow_provider_sfleads.emulator.page_style import CSS

# Pages load nothing and run nothing, whatever a lead's fields hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'"


def text(value: object) -> str:
    """Return a value as HTML text; a dash where there is none."""
    if value is None or value == "":
        return '<span class="none">&ndash;</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return escape(f"{value:,.15g}")
    return escape(str(value))


def moment(value: str | None) -> str:
    """Return a stored point in time, for people."""
    if not value:
        return text(None)
    return escape(f"{value[:10]} {value[11:19]}")


def chip(value: object, kind: str = "") -> str:
    """Return a small label; nothing for nothing."""
    return "" if value in {None, ""} else f'<span class="chip {kind}">{text(value)}</span>'


def page(title: str, content: str, *, refresh: int | None = None) -> str:
    """Return a whole page, which is loaded again after so many seconds where `refresh` says so."""
    again = f'<meta http-equiv="refresh" content="{refresh}">\n' if refresh else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - Salesforce emulator</title>
{again}<link rel="icon" href="data:,">
<style>{CSS}</style>
</head>
<body>
<header><div><a href="/">Salesforce emulator</a><span>a local stand-in for tests and demos</span>
<nav><a href="/">Leads</a><a href="/jobs">Bulk jobs</a></nav></div></header>
<main>
{content}
</main>
</body>
</html>
"""
