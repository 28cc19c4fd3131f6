"""Whom the routes tell what, under Airflow's simple auth manager and under FAB's."""

from __future__ import annotations

import pytest

from tests.ui.guarded import ALL, RUN
from tests.ui.people import NOBODY, OURS, THEIRS
from tests.ui.servers import Server
from tests.ui.test_routes import HOSTILE, rows_url

ROUTES = (
    "/static/lead-syncs.js",
    "/api/syncs",
    rows_url(RUN, OURS),
    rows_url(RUN, OURS).replace("/rows", "/rejects.csv"),
)


def holds(server: Server, user: str | None, *, dags: list[str], rows: list[str]) -> None:
    """Hold every route against what a user may see: nothing else is told, nor that it exists.

    :param dags: whose numbers.
    :param rows: the Dags whose rows.
    """
    found = server.get("/api/syncs", user=user).json()
    assert found["dags"] == dags
    for kind in ("syncs", "unreported"):
        assert sorted(each["dag_id"] for each in found[kind]) == dags
        assert sorted(each["dag_id"] for each in found[kind] if each["may_read_rows"]) == rows
    for dag_id in ALL:
        asked = server.get("/api/syncs", user=user, dag_id=dag_id, run_id=RUN).json()
        assert [each["dag_id"] for each in asked["syncs"]] == ([dag_id] if dag_id in dags else [])
        assert asked["dags"] == dags
        url = rows_url(RUN, dag_id)
        replies = [server.get(path, user=user) for path in (url, url.replace("/rows", "/rejects.csv"))]
        expected = 200 if dag_id in rows else 403
        assert [reply.status_code for reply in replies] == [expected, expected]
        assert [HOSTILE[:4] in reply.text for reply in replies] == [dag_id in rows] * 2
        if dag_id not in rows:
            # In the same words whether there is such a run or none.
            assert server.get(rows_url("never", dag_id), user=user).text == replies[0].text == replies[1].text


@pytest.mark.parametrize("path", ROUTES)
def test_nobody_in_particular_gets_401_from_every_route(any_server: Server, path: str) -> None:
    """There is no other route, and no description of them that is open."""
    from airflow_provider_sfleads.ui.app import app

    assert any_server.get(path, user=None).status_code == 401
    for name in ("/docs", "/openapi.json"):
        assert any_server.get(name, user=None).status_code == 404
    assert len(app.routes) == len(ROUTES)


@pytest.mark.usefixtures("any_runs")
@pytest.mark.parametrize(
    ("user", "dags", "rows"),
    [
        pytest.param("admin", ALL, ALL, id="admin"),
        pytest.param("reader", [OURS], [OURS], id="who-may-read-one-dag"),
        pytest.param("numbers", [OURS], [], id="who-may-not-read-xcoms"),
        pytest.param("outsider", [], [], id="who-may-read-neither-dag"),
        pytest.param("without_runs", [], [], id="who-may-not-read-runs"),
        pytest.param("without_tasks", [], [], id="who-may-not-read-task-instances"),
    ],
)
def test_everybody_sees_the_dags_that_are_theirs(
    any_server: Server, user: str, dags: list[str], rows: list[str]
) -> None:
    """Numbers for who may read a Dag's runs and tasks, rows for who may read its XComs as well."""
    holds(any_server, user, dags=dags, rows=rows)


@pytest.mark.whole_way
@pytest.mark.usefixtures("fab_runs")
@pytest.mark.parametrize("user", ["op", "user", "viewer"])
def test_roles_that_come_with_fab_see_all(fab_server: Server, user: str) -> None:
    """What FAB says of them."""
    holds(fab_server, user, dags=ALL, rows=ALL)


@pytest.mark.whole_way
@pytest.mark.usefixtures("fab_runs")
def test_who_has_no_role_sees_nothing(fab_server: Server) -> None:
    """Somebody who can log in."""
    holds(fab_server, NOBODY, dags=[], rows=[])


@pytest.mark.whole_way
@pytest.mark.usefixtures("fab_runs")
def test_who_may_read_single_dags_does_not_learn_which_others_there_are(fab_server: Server) -> None:
    """One that is not theirs is refused like one that nobody has."""
    theirs, none = (fab_server.get(rows_url(RUN, dag_id), user="reader") for dag_id in (THEIRS, "no_such_dag"))

    assert (theirs.status_code, theirs.text) == (none.status_code, none.text)
    assert theirs.status_code == 403


@pytest.mark.whole_way
@pytest.mark.usefixtures("fab_runs")
def test_who_has_not_logged_in_has_the_public_role(open_server: Server) -> None:
    """Where there is one, its rights are what counts; whoever logs in has their own."""
    holds(open_server, None, dags=[OURS], rows=[])
    holds(open_server, "viewer", dags=ALL, rows=ALL)
