"""Somebody at the browser: what the pages have in common, what is kept of them, and what they must never do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator, Page, Request

PASSWORD = "open sesame"
_PATIENCE = 120_000  # milliseconds: two cores that other tests share may take their time


class Visitor:
    """A browser window.

    :param url: Airflow's address.
    :param artifacts: folder for pictures, which is emptied.
    """

    def __init__(self, browser: Browser, url: str, artifacts: Path) -> None:
        self.url = url
        self._artifacts = artifacts
        self._browser = browser
        self._number = 0
        self._wrong: list[str] = []
        #: Whether a step has failed.
        self.is_lost = False

    def __enter__(self) -> Self:
        shutil.rmtree(self._artifacts, ignore_errors=True)
        self._artifacts.mkdir(parents=True)
        self._context = self._browser.new_context(
            viewport={"width": 1400, "height": 900}, locale="en-GB", timezone_id="UTC", accept_downloads=True
        )
        self._context.set_default_timeout(_PATIENCE)
        expect.set_options(timeout=_PATIENCE)
        self.page: Page = self._context.new_page()
        # A script that came in with somebody's name would call alert().
        self._context.on("dialog", self._note_dialog)
        self._context.on("request", self._note_request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()

    def _note_dialog(self, dialog: Dialog) -> None:
        self._wrong.append(f"{dialog.type} {dialog.message!r} on {self.page.url}")
        dialog.dismiss()

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self._wrong.append(f"{self.page.url} asks for {request.url}")

    def check(self) -> None:
        """Fail where a page opened a dialog, or asked another machine for something."""
        wrong, self._wrong = self._wrong, []
        assert wrong == []

    def open(self, path: str) -> None:
        """Go to a page of Airflow by its address."""
        self.page.goto(f"{self.url}{path}")

    def log_in(self, user: str) -> None:
        """Log in as a person does."""
        self.open("/")
        self.page.get_by_label("Username").fill(user)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("link", name="Dags").first.wait_for()

    @contextmanager
    def new_tab(self, link: Locator) -> Iterator[Page]:
        """Follow a link that opens a tab of its own; the tab, for as long as the block lasts."""
        with self._context.expect_page() as opened:
            link.click()
        yield opened.value
        opened.value.close()

    @contextmanager
    def stranger(self) -> Iterator[Page]:
        """The page of somebody who has not logged in, for as long as the block lasts."""
        with self._browser.new_context() as context:
            yield context.new_page()

    def wear(self, mode: Literal["dark", "light"]) -> None:
        """Choose how the machine's windows look; Airflow follows that."""
        self.page.emulate_media(color_scheme=mode)
        expect(self.page.locator("html")).to_have_class(re.compile(mode))

    def shoot(self, name: str, page: Page | None = None) -> None:
        """Keep a picture of what is to be seen of a page, this one unless another is given."""
        self._number += 1
        path = self._artifacts / f"{self._number:02}-{name.replace(' ', '-')}.png"
        (page or self.page).screenshot(path=path, animations="disabled")

    def keep(self, name: str) -> None:
        """Keep all there is of the page that a step failed on."""
        self.is_lost = True
        self.page.screenshot(path=self._artifacts / f"failed-{name}.png", full_page=True)
        (self._artifacts / f"failed-{name}.html").write_text(f"<!-- {self.page.url} -->\n{self.page.content()}")
