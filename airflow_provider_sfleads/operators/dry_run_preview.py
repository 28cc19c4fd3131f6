"""The preview at the end of a dry run: what a live run would do, and what it would cost."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from itertools import islice

from airflow_provider_sfleads.core.message import log_name
from airflow_provider_sfleads.core.report import SyncReport, Tally
from airflow_provider_sfleads.operators.load_context import MOST_BY_PAGES, LoadContext, LoadOutcome, Plan
from airflow_provider_sfleads.pipeline.preview import (
    Found,
    Preview,
    counts_look_ups,
    estimate,
    look_up_calls,
    rows_by_way,
)
from airflow_provider_sfleads.results.changes import changes, looked_up, sent_by_group
from airflow_provider_sfleads.results.parts import marks
from airflow_provider_sfleads.results.recorded import part_tallies
from airflow_provider_sfleads.salesforce.error_codes import NO_SINGLE_LEAD
from airflow_provider_sfleads.salesforce.wire import ApiUsage

log = logging.getLogger(__name__)

_SHOWN = 10
_RESUMED = "an earlier try looked up some of the rows, and what that took is reckoned from the others"
_MIXED = "rows that one job is not worth are looked up once more, together with others"


def show_preview(load: LoadContext, outcome: LoadOutcome, report: SyncReport) -> None:
    """Write ``preview.json`` beside the report of a dry run, and say in the log what it says."""
    plan, settings = load.planned, load.settings
    if plan is None:
        return
    found, reason = _found(load, plan)
    preview = Preview(
        counts=outcome.tally.counts(),
        changes=tuple(islice(changes(load.folder), _SHOWN)),
        fields=tuple(info.name for info in plan.recipe.fields),
        estimate=estimate(
            plan,
            found,
            batch_size=settings.batch_size,
            concurrency=settings.concurrency,
            defers=settings.deferrable,
        ),
        api_reason=reason,
        api_calls=report.api_calls,
        token_requests=report.token_requests,
        usage=ApiUsage(**report.api_usage) if report.api_usage else None,
        ceiling=settings.hook.client.settings.max_api_usage,
        missing=_missing(outcome, report),
    )
    url = load.folder.write_preview(preview.as_json())
    for line in preview.lines(partial(log_name, salt=load.folder.dag_id)):
        log.info("%s", line)
    log.info("The preview for programs: %s", url)


def _missing(outcome: LoadOutcome, report: SyncReport) -> str | None:
    if outcome.export_error is not None:
        return "the export could not be read to its end."
    return f"{report.not_sent:,} could not be looked up." if report.not_sent else None


def _found(load: LoadContext, plan: Plan) -> tuple[Found, str]:
    """Return what the dry run has found, and why a live one would take the API that it takes.

    The marks of the results tell the parts that jobs would carry from what would go page by page.
    """
    look_ups, unsure = _look_ups(load, plan)
    marked = {name for mark, name in marks(load.folder.directory).items() if mark.startswith("part-")}
    least = MOST_BY_PAGES if load.settings.api == "auto" and counts_look_ups(plan) else -1
    parts: list[Tally] = []
    few: list[str] = []
    pages: list[str] = []
    others, rest = Tally(), Tally()
    for name, tally in part_tallies(load.folder):
        if name not in marked:
            pages.append(name)
            others.absorb(tally)
        elif sum(rows_by_way(plan, tally)) <= least:
            few.append(name)
            rest.absorb(tally)
        else:
            parts.append(tally)
    rows = list(changes(load.folder, few))
    rest.absorb(others)
    found = Found(
        look_ups=look_ups,
        rest=rest,
        rule=load.rule_calls,
        groups=_groups(load, plan, pages, ahead=len(rows)),
        parts=parts,
        again=look_up_calls(plan, rows),
        unsure=(*unsure, *([_MIXED] if rows and _is_mixed(plan, others) else [])),
    )
    reason = load.execution.api_reason
    if rows and not parts:
        reason += f"; the look-up has left {len(rows):,}, which no job is worth"
    return found, reason


def _look_ups(load: LoadContext, plan: Plan) -> tuple[int, tuple[str, ...]]:
    """Return how many calls the look-ups of all rows took.

    Each try but for its describe, and for the assignment rule.
    """
    calls = load.settings.hook.client.api_calls - 1 - load.rule_calls
    if not load.resumed or not counts_look_ups(plan):
        return calls, ()
    # What a killed try took nobody has counted.
    mine, whole = looked_up(load.folder, attempt=load.attempt)
    known = load.execution.api_calls + calls - (load.execution.tries - 1)
    return (-(-calls * whole // mine) if mine else max(0, known)), (_RESUMED,)


def _groups(load: LoadContext, plan: Plan, parts: Sequence[str], *, ahead: int = 0) -> Sequence[int]:
    return sent_by_group(load.folder, parts, size=plan.group_size, ahead=ahead) if plan.fresh else ()


def _is_mixed(plan: Plan, others: Tally) -> bool:
    """Return whether other rows may come into the groups in which such rows are looked up."""
    recipe = plan.recipe
    sent_or_left = (
        sum(rows_by_way(plan, others)) + others.unchanged.total() + sum(others.rejects[code] for code in NO_SINGLE_LEAD)
    )
    return recipe.by_email or None not in (recipe.lead_id, recipe.external) or sent_or_left > 0
