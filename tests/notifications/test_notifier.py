"""The notifier as people use it: callbacks of tasks in ``DAG.test``, Slack's and SMTP's own notifiers, real servers."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG, BaseNotifier, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.notifications.report import SyncReportNotifier
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator
from tests.core.test_message import MARKUP, Tags
from tests.integration.support import FIELDS, Record, creating, people
from tests.notifications.inboxes import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable

    Export = Callable[[list[Record]], FileExport]

    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag
    from tests.notifications.inboxes import Channel, Mailbox

pytestmark = pytest.mark.usefixtures("salesforce_conn")

ODD = ("<!channel>", "*bold*", "<script>x()</script>", "_it_")
PERSON = {"mail": "zaphod.b@heartofgold.example", "last": "Beeblebrox-Zyx", "phone": "+49 30 99887766"}


def to_slack() -> SlackWebhookNotifier:
    """The notifier of docs/how-to/alerts.md."""
    return SlackWebhookNotifier(slack_webhook_conn_id="slack", text="{{ sync_message }}")


def to_mail() -> SmtpNotifier:
    """The notifier of docs/how-to/alerts.md."""
    return SmtpNotifier(to="ops@acme.example", subject="{{ sync_subject }}", html_content="{{ sync_html }}")


def alerting(notifier: Callable[[Any], object]) -> dict[str, Any]:
    """The callbacks of a task."""
    return dict.fromkeys(("on_success_callback", "on_failure_callback", "on_retry_callback"), notifier)


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Writes rows where a real export finds them."""

    def write(rows: list[Record]) -> FileExport:
        path = tmp_path / "people.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return FileExport(str(path))

    return write


def test_slack_and_mail_show_text(
    run_dag: RunDag, export: Export, tmp_path: Path, slack: Channel, mail: Mailbox
) -> None:
    """What a key looks like is no markup there; both notifiers are given the message of the same sync."""
    rows = [*people(5), *({"key": key, "last": "x" * 81, "company": "Acme"} for key in ODD)]
    with DAG("odd", schedule=None) as dag:
        creating(export(rows), tmp_path / "results", **alerting(SyncReportNotifier(to_slack(), to_mail())))
    run_dag(dag)

    (text,) = slack.texts
    assert text.startswith("LIVE: odd.create failed (5 created, 4 rejected)\n")
    assert "Read 9 rows: 5 created, 4 rejected." in text
    assert "STRING_TOO_LONG: 4 rows, such as '‹!channel›', '∗bold∗', '‹script›x()‹/script›'" in text  # noqa: RUF001
    assert not MARKUP.search(text)
    assert [str(sent["subject"]) for sent in mail.mails] == [text.splitlines()[0]]
    page = Tags(mail.html(0))
    assert "'<!channel>', '*bold*', '<script>x()</script>'" in page.text
    assert "script" not in page.tags


def test_each_mapped_task_has_its_own_message(run_dag: RunDag, export: Export, tmp_path: Path, slack: Channel) -> None:
    """One notifier serves all tasks of a Dag, and each run of them."""
    good = export(people(3))
    given: dict[str, Any] = {"key": "key", "external_id_field": "External_Id__c", "fields": FIELDS}
    with DAG("mapped", schedule=None) as dag:
        SalesforceCreateLeadsOperator.partial(
            task_id="create",
            results_path=str(tmp_path / "results"),
            **given,
            **alerting(SyncReportNotifier(to_slack())),
        ).expand(export=[good, FileExport("/nonexistent/leads.csv"), good])
    run_dag(dag)

    # Airflow runs them in any order; whichever of the two good ones comes first creates the leads.
    texts = sorted(slack.texts, key=lambda text: text.partition("[")[2])
    names = [text.splitlines()[0].removesuffix(" (3 created)") for text in texts]
    assert names == [
        "LIVE: mapped.create[0] succeeded",
        "LIVE: mapped.create[1] failed",
        "LIVE: mapped.create[2] succeeded",
    ]
    assert sum("succeeded (3 created)" in text for text in texts) == 1
    assert "ExportError: " in texts[1]
    assert "/tasks/create/mapped/1?try_number=1" in texts[1]


def test_the_mode_the_interval_and_the_try_are_told(
    run_dag: RunDag, export: Export, tmp_path: Path, slack: Channel
) -> None:
    """A dry run over a day; the message says what it would have done."""
    timetable = CronDataIntervalTimetable("0 2 * * *", timezone="UTC")
    with DAG("dry", schedule=timetable, start_date=datetime(2026, 11, 1, tzinfo=UTC), params={"dry": True}) as dag:
        creating(
            export(people(3)),
            tmp_path / "results",
            dry_run="{{ params.dry }}",
            **alerting(SyncReportNotifier(to_slack())),
        )
    run_dag(dag, logical_date=datetime(2026, 11, 20, 2, tzinfo=UTC))

    (text,) = slack.texts
    assert text.startswith("DRY RUN: dry.create succeeded (3 would be created)\n")
    assert "+00:00, try 1\nInterval: 2026-11-19 02:00 to 2026-11-20 02:00 UTC\n" in text
    assert "Read 3 rows: 3 would be created." in text


def test_a_retry_is_told_as_one(
    run_dag: RunDag, export: Export, tmp_path: Path, slack: Channel, emulator: EmulatorServer
) -> None:
    """What is not sent yet is nobody's work, as long as Airflow tries again."""
    emulator.add_fault("invalid_session", method="POST", path="/composite/sobjects", times=2)
    with DAG("again", schedule=None) as dag:
        creating(
            export(people(3)),
            tmp_path / "results",
            retries=1,
            retry_delay=0,
            **alerting(SyncReportNotifier(to_slack())),
        )
    run_dag(dag)

    first, second = slack.texts
    assert first.startswith("LIVE: again.create failed and will be tried again (3 not sent)\n")
    assert "RowsNotSentError: 3 of 3 rows" in first
    assert "To do: nothing yet" in first
    assert second.startswith("LIVE: again.create succeeded (3 created)\n")
    assert ", try 2\n" in second


def test_nothing_of_a_person_gets_into_a_message(
    run_dag: RunDag,
    export: Export,
    tmp_path: Path,
    slack: Channel,
    mail: Mailbox,
    emulator: EmulatorServer,
) -> None:
    """Salesforce's own error repeats the value, and keys are addresses."""
    said = [{"errorCode": "JSON_PARSER_ERROR", "message": f"Unexpected {PERSON['mail']} {PERSON['phone']}"}]
    emulator.add_fault("bad_request", method="POST", path="/composite/sobjects", body="zaphod.b", reply=said)
    rows: list[Record] = [
        {**PERSON, "key": PERSON["mail"], "company": "Acme"},
        {"key": "x@heartofgold.example", "last": None},
    ]
    fields = {**FIELDS, "mail": "Email", "phone": "Phone"}
    with DAG("private", schedule=None) as dag:
        notifier = SyncReportNotifier(to_slack(), to_mail())
        creating(export(rows), tmp_path / "results", fields=fields, **alerting(notifier))
    run_dag(dag)

    for text in (*slack.texts, mail.html(0), str(mail.mails[0]["subject"])):
        for value in (*PERSON.values(), "heartofgold", "emulator-secret", TOKEN):
            assert value not in text
    assert "JSON_PARSER_ERROR: 1 row, key sha:" in slack.texts[0]
    assert "REQUIRED_FIELD_MISSING: 1 row, key sha:" in slack.texts[0]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ParameterError("threshold='many': it takes a number"), "ParameterError: threshold='many': it takes a number"),
        (KeyError(PERSON["mail"]), "KeyError; what it says is in the log."),
    ],
)
def test_a_task_that_failed_before_its_report(
    run_dag: RunDag, export: Export, tmp_path: Path, slack: Channel, error: Exception, told: str
) -> None:
    """Our own errors speak for themselves; what others say may name a person. A traceback is for the log."""

    def fail(context: Any) -> None:  # noqa: ANN401, ARG001 - as Airflow calls it
        raise error

    with DAG("early", schedule=None) as dag:
        creating(export(people(1)), tmp_path / "results", pre_execute=fail, **alerting(SyncReportNotifier(to_slack())))
    run_dag(dag)

    (text,) = slack.texts
    assert text.startswith("LIVE: early.create failed\n")
    assert told in text
    assert "Traceback" not in text
    assert PERSON["mail"] not in text


def test_what_cannot_be_read_holds_no_alert_back(
    run_dag: RunDag, export: Export, tmp_path: Path, slack: Channel
) -> None:
    """Results that are gone or broken, and a task that pushes no report at all."""

    def spoil(context: Any) -> None:  # noqa: ANN401, ARG001 - as Airflow calls it
        for part in tmp_path.glob("results/**/results-*.parquet"):
            part.write_bytes(b"PAR1 and nothing more")

    notifier = SyncReportNotifier(to_slack())
    dirty = [{"key": "K-1", "last": "x" * 81, "company": "Acme"}]
    with DAG("unreadable", schedule=None) as dag:
        first = creating(export(dirty), tmp_path / "results", on_failure_callback=[spoil, notifier])
        silent = creating(first.export, tmp_path / "more", task_id="silent", do_xcom_push=False, max_rejects=9)
        silent.on_success_callback = [notifier]

        @task(on_success_callback=notifier)
        def other() -> list[int]:
            return [1]

        other()
    run_dag(dag)

    by_task = {re.findall(r"unreadable\.(\w+)", text)[0]: text for text in slack.texts}
    assert "STRING_TOO_LONG: 1 row\n" in by_task["create"]
    assert "Not shown: examples in the results, which cannot be read (ArrowInvalid)." in by_task["create"]
    assert by_task["silent"].startswith("LIVE: unreadable.silent succeeded\n")
    assert "It pushed no report." in by_task["silent"]
    assert "Not shown: the report, which cannot be read (ValueError)." in by_task["other"]


class Deaf(BaseNotifier):
    """A notifier that cannot notify."""

    def notify(self, context: Any) -> None:  # noqa: ANN401, ARG002 - Airflow's signature
        """Fail."""
        raise ConnectionError("nobody listens")


def test_one_deaf_notifier_does_not_silence_the_others(
    run_dag: RunDag, export: Export, slack: Channel, mail: Mailbox, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """All are called; Airflow's log says which failed, and the task is what it was."""
    slack.status = 500
    with DAG("deaf", schedule=None) as dag:
        notifier = SyncReportNotifier(Deaf(), to_slack(), to_mail())
        creating(export(people(1)), tmp_path / "results", **alerting(notifier))
    run = run_dag(dag)

    assert run.state == "success"
    assert len(mail.mails) == 1
    assert "2 of 3 notifiers failed" in capfd.readouterr().out


def test_clean_syncs_can_be_passed_over(run_dag: RunDag, export: Export, tmp_path: Path, slack: Channel) -> None:
    """Where every row was taken there may be nothing to say; a reject that is borne is something."""
    rows = [*people(2), {"key": "K-9", "last": "x" * 81, "company": "Acme"}]
    for n, some in enumerate((rows[:2], rows)):
        with DAG(f"quiet_{n}", schedule=None) as dag:
            creating(
                export(some),
                tmp_path / "results",
                max_rejects=1,
                **alerting(SyncReportNotifier(to_slack(), skip_clean=True)),
            )
        run_dag(dag)

    assert [text.splitlines()[0] for text in slack.texts] == ["LIVE: quiet_1.create succeeded (1 rejected)"]


def test_any_callable_is_a_notifier(run_dag: RunDag, export: Export, tmp_path: Path) -> None:
    """It finds the report as a dict, and the rest of Airflow's context."""
    told: list[Any] = []
    with DAG("own", schedule=None) as dag:
        creating(export(people(2)), tmp_path / "results", **alerting(SyncReportNotifier(told.append)))
    run_dag(dag)

    (context,) = told
    assert (context["sync_report"]["created"], context["ti"].task_id) == (2, "create")
    assert context["sync_subject"] == "LIVE: own.create succeeded (2 created)"


def test_a_notifier_that_notifies_nobody_is_refused() -> None:
    """Where the Dag is read."""
    with pytest.raises(ParameterError, match="needs a notifier"):
        _ = SyncReportNotifier()
