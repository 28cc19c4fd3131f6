"""Airflow's own forms, filled in as people do."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response


class Connections:
    """The list of connections, its form, and its Test button.

    Keys press the buttons: notifications that pile up lie over the page and would take a click.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._form = page.get_by_role("dialog")

    def add(self, conn_id: str, conn_type: str, **fields: str) -> Locator:
        """Open the form for a new connection and fill it in.

        :param conn_type: what the form calls it.
        :param fields: text by label; an underscore for a blank.
        """
        self._page.get_by_role("button", name="Add Connection").click()
        self._form.get_by_label("Connection ID").fill(conn_id)
        # What lies over the field takes the click.
        self._form.get_by_role("combobox", name="Connection Type").focus()
        self._page.keyboard.type(conn_type)
        self._page.keyboard.press("Enter")
        return self._fill(fields)

    def edit(self, conn_id: str, **fields: str) -> Locator:
        """Open the form of a connection and change what is to be changed."""
        self._press("Edit", conn_id)
        return self._fill(fields)

    def _fill(self, fields: dict[str, str]) -> Locator:
        for label, text in fields.items():
            self._form.get_by_label(label.replace("_", " ")).fill(text)
        return self._form

    def save(self) -> None:
        """Save what the form holds."""
        self._form.get_by_role("button", name="Save").press("Enter")
        self._form.wait_for(state="hidden")

    def test(self, conn_id: str) -> str:
        """Press the Test button; returns what is shown."""
        with self._page.expect_response(lambda reply: reply.url.endswith("/connections/test")) as answer:
            self._press("Test", conn_id)
        assert answer.value.ok, answer.value.text()
        result = answer.value.json()
        shown = self._page.get_by_role("status").filter(has_text=result["message"]).first
        expect(shown).to_contain_text("Successful" if result["status"] else "Failed")
        return str(result["message"])

    def _press(self, name: str, conn_id: str) -> None:
        row = self._page.get_by_role("row").filter(has=self._page.get_by_role("cell", name=conn_id, exact=True))
        row.get_by_role("button", name=f"{name} Connection").press("Enter")


class TriggerForm:
    """What opens by the button Trigger of a Dag's page: for one run, or for a backfill."""

    def __init__(self, page: Page) -> None:
        button = page.get_by_role("button", name="Trigger Dag")
        # The list of Dags, which one comes from, has several.
        expect(button).to_have_count(1)
        button.click()
        self._page = page
        self.dialog = page.get_by_role("dialog").filter(has=page.get_by_role("heading", level=2))

    @property
    def threshold(self) -> Locator:
        """The field of that Param."""
        return self.dialog.get_by_label("Threshold")

    def pick(self, label: str, moment: datetime) -> None:
        """Pick a moment; of two fields with one label, in the upper one."""
        field = self.dialog.get_by_role("group").filter(has=self._page.get_by_text(label, exact=True)).first
        field.get_by_text("Select date and time").click()
        calendar = self._page.get_by_role("dialog").filter(has=self._page.get_by_placeholder("YYYY/MM/DD"))
        calendar.get_by_placeholder("YYYY/MM/DD").fill(f"{moment:%Y/%m/%d}")
        calendar.get_by_role("textbox").nth(1).fill(f"{moment:%H:%M}")
        calendar.get_by_role("textbox").nth(1).press("Enter")
        self._page.keyboard.press("Escape")
        calendar.wait_for(state="hidden")
        expect(field).to_contain_text(f"{moment:%b %d, %Y %H:%M}")

    def be_backfill(self) -> None:
        """Choose the backfill."""
        self.dialog.get_by_text("Backfill", exact=True).click()

    def button(self, name: str) -> Locator:
        """The button that starts it."""
        return self.dialog.get_by_role("button", name=name, exact=True)

    def trigger(self) -> str:
        """Start the run; returns its id."""
        reply = self._press()
        assert reply.ok, reply.text()
        self.dialog.wait_for(state="hidden")
        return str(reply.json()["dag_run_id"])

    def refused(self) -> str:
        """Try to start the run; returns why the form, which stays open, says that it cannot be."""
        reply = self._press()
        assert reply.status == 400, reply.text()
        reason = str(reply.json()["detail"])
        self.dialog.get_by_text(reason).first.scroll_into_view_if_needed()
        return reason

    def _press(self) -> Response:
        with self._page.expect_response(lambda reply: reply.url.endswith("/dagRuns")) as answer:
            self.button("Trigger").click()
        return answer.value
