"""Airflow's pages in Chromium, and what is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.integration.real_airflow import ROOT

if TYPE_CHECKING:
    from datetime import datetime

    from playwright.sync_api import Browser, BrowserContext, Error, Page

    from tests.ui.servers import Server

ARTIFACTS = ROOT / "test-artifacts/ui"
_PATIENCE = 120_000  # milliseconds: other tests share the two cores
expect.set_options(timeout=_PATIENCE)


def opened(
    chromium: Browser,
    server: Server,
    path: str,
    *,
    user: str | None = "admin",
    scheme: str = "light",
    clock: datetime | None = None,
) -> Page:
    """Open one of Airflow's pages; a script that a text brings along fails the test.

    :param user: who is logged in; ``None`` for nobody.
    """
    context = chromium.new_context(viewport={"width": 1440, "height": 1400})
    context.set_default_timeout(_PATIENCE)
    if user is not None:
        be(context, server, server.tokens[user])
    context.add_init_script(f"localStorage.setItem('theme', '{scheme}')")
    page = context.new_page()
    if clock is not None:
        page.clock.set_fixed_time(clock)
    page.on("dialog", lambda dialog: pytest.fail(f"a text was run as a script: {dialog.message}"))
    page.on("pageerror", lambda error: _broke(page, error))
    page.goto(server.url + path)
    return page


def _broke(page: Page, error: Error) -> None:
    # FAB's form to sign in has scripts of its own that do not go together; it is not ours to mend.
    if "/auth/" not in page.url:
        pytest.fail(f"the page broke: {error}")


def back_at(path: str) -> str:
    """The end of the address that the form to sign in leads back to: Airflow 3.1 loses what comes after an ``&``."""
    return path.partition("&")[0] if _is_oldest() else path


def no_page() -> str:
    """What Airflow says instead of a plugin's page without ``can read on Plugins``: 3.1 stumbles over it."""
    return "An unexpected error occurred" if _is_oldest() else "Page Not Found"


def _is_oldest() -> bool:
    from airflow import __version__

    return __version__.startswith("3.1.")


def be(context: BrowserContext, server: Server, token: str) -> None:
    """Have the browser bring a token along, as it does after a login."""
    context.add_cookies([{"name": "_token", "value": token, "url": server.url}])


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page, for people to look at."""
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name.replace(' ', '-')}.png", full_page=True)
