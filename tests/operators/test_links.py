"""The addresses that a task links to, and when it says them."""

from __future__ import annotations

import dataclasses
import string
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.operators.links import PAGE, Links, jobs_url, leads_url, results_url
from airflow_provider_sfleads.results.folder import ResultsFolder

ACME = "https://acme.my.salesforce.com"
FOLDER = ResultsFolder(
    base="/results",
    dag_id="nightly",
    run_id="manual__2026-11-20T00:00:00+00:00",
    task_id="group.move",
    map_index=-1,
    execution="20261120T000102.000003Z",
)
# What may stand in a query as it is.
UNRESERVED = set(string.ascii_letters + string.digits + "-._~")


class Airflow:
    """A task instance that takes XComs, or cannot."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, str]] = []
        self.down = False

    def xcom_push(self, key: str, value: str) -> None:
        """Take an XCom."""
        if self.down:
            raise ConnectionError("the API server is away")
        self.pushed.append((key, value))


@pytest.mark.parametrize(
    ("base_url", "root"),
    [
        ("http://localhost:8080", ""),
        ("https://airflow.acme.com/", ""),
        ("https://acme.com/data/airflow", "/data/airflow"),
        ("https://acme.com/data/airflow/", "/data/airflow"),
    ],
)
def test_results_are_below_airflows_own_path(base_url: str, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the proxy in front of it has it, on whatever host the person is."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    url = results_url(FOLDER)
    assert url.startswith(f"{root}/{PAGE}?dag_id=nightly&run_id=manual__2026-11-20T00%3A00%3A00%2B00%3A00&")
    assert url.endswith("&task_id=group.move&map_index=-1&execution=20261120T000102.000003Z")


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_id_of_a_dag_or_run_says_more_than_itself(text: str) -> None:
    """Whatever is in it, it is one parameter of the page."""
    url = results_url(dataclasses.replace(FOLDER, dag_id=text, run_id=text, task_id=text, map_index=7))
    said = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    assert said == {
        "dag_id": text,
        "run_id": text,
        "task_id": text,
        "map_index": "7",
        "execution": FOLDER.execution,
    }
    assert set(url.partition("?")[2]) <= UNRESERVED | set("%&=")


@pytest.mark.parametrize("base", [ACME, "http://127.0.0.1:18080", "http://[::1]:18080"])
def test_a_job_has_a_page_and_several_have_a_list(base: str) -> None:
    """At the org's host and port; there is no link where there is no job."""
    assert jobs_url(base, []) == ""
    assert jobs_url(base, ["750A"]) == f"{base}/lightning/setup/AsyncApiJobStatus/page?address=%2F750A"
    assert jobs_url(base, ["750A", "750B"]) == f"{base}/lightning/setup/AsyncApiJobStatus/home"
    assert leads_url(base) == f"{base}/lightning/o/Lead/list?filterName=__Recent"


@given(job_id=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_an_odd_job_id_leads_nowhere_else(job_id: str) -> None:
    """A sensor takes it from anywhere."""
    parts = urlsplit(jobs_url(ACME, [job_id]))
    assert (f"{parts.scheme}://{parts.netloc}", parts.path) == (ACME, "/lightning/setup/AsyncApiJobStatus/page")
    assert (parse_qs(parts.query), parts.fragment) == ({"address": [f"/{job_id}"]}, "")


def test_a_link_is_pushed_when_it_changes() -> None:
    """One job, the same job again, another one beside it, none: each change is one XCom."""
    airflow = Airflow()
    links = Links(airflow)
    for jobs in ([], ["750A"], ["750A"], ["750A", "750B"], []):
        links.show_jobs(ACME, jobs)
    several = f"{ACME}/lightning/setup/AsyncApiJobStatus/home"
    assert [value for _, value in airflow.pushed] == [jobs_url(ACME, ["750A"]), several, ""]


def test_a_link_that_cannot_be_pushed_stops_nothing() -> None:
    """It is said in the log, and pushed the next time."""
    airflow = Airflow()
    links = Links(airflow)
    airflow.down = True
    links.show_jobs(ACME, ["750A"])
    airflow.down = False
    links.show_jobs(ACME, ["750A"])
    assert airflow.pushed == [("_link_BulkJobLink", jobs_url(ACME, ["750A"]))]
