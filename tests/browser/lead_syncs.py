"""The "Lead syncs" page, by what its parts are called for tests."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

_MANY = 60
# What has the focus, if it lies in such a part and says such words.
_HAS_FOCUS = """([part, words]) => {
    const at = document.activeElement;
    return Boolean(at.closest(`[data-testid="${part}"]`)) && at.textContent.includes(words);
}"""


class LeadSyncs:
    """The page, wherever it is shown."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.syncs = page.get_by_test_id("sync-row")
        self.bars = page.get_by_test_id("plot").get_by_test_id("plot-bar")
        self.reasons = page.get_by_test_id("reject-reasons")
        self.rows = page.get_by_test_id("row")
        self.empty = page.get_by_test_id("empty")

    def filter(self, **choices: str) -> None:
        """Choose which syncs are shown, in the order given; what is not given stays.

        :param choices: by the filter's name; ``since`` and ``until`` are the first and the last day.
        """
        for name, value in choices.items():
            control = self._page.get_by_test_id(f"filter-{name}")
            if name in ("since", "until"):
                control.fill(value)
            else:
                control.select_option(value)
        for name, value in choices.items():
            expect(self._page.get_by_test_id(f"filter-{name}")).to_have_value(value)

    def open_rows(self, words: str, dag_id: str, interval: str) -> None:
        """Go from a sync to its rows.

        :param words: of the link.
        :param interval: how the sync's interval begins.
        """
        self.syncs.filter(has_text=dag_id).filter(has_text=interval).get_by_text(words, exact=True).click()

    def choose_rows(self, **choices: str) -> None:
        """Choose which rows are shown."""
        for name, value in choices.items():
            self._page.get_by_test_id(f"rows-{name}").select_option(value)

    def search(self, text: str) -> None:
        """Search through the rows."""
        self._page.get_by_test_id("rows-search").fill(text)

    def next_page(self) -> None:
        """Go to the next page of the table."""
        self._page.get_by_role("button", name="Next").click()

    def download(self, name: str) -> list[dict[str, str]]:
        """Download rejects; returns the file's rows.

        :param name: of the button.
        """
        with self._page.expect_download() as download:
            self._page.get_by_test_id(name).click()
        assert download.value.suggested_filename.endswith(".csv")
        with download.value.path().open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    def tab_to(self, part: str, words: str = "") -> None:
        """Press Tab until something in such a part of the page, which says such words, has the focus."""
        for _ in range(_MANY):
            self._page.keyboard.press("Tab")
            if self._page.evaluate(_HAS_FOCUS, [part, words]):
                return
        raise AssertionError(f"Tab does not come to {words or part}")
