"""Whether the execution that an earlier try left open is still what the Dag asks for."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_sfleads.exceptions import PlanChangedError
from airflow_provider_sfleads.operators.journal import Execution
from airflow_provider_sfleads.operators.load_settings import LoadSettings
from airflow_provider_sfleads.results import ResultsFolder
from airflow_provider_sfleads.results.announced import any_announced
from airflow_provider_sfleads.results.recorded import any_created, any_unknown

# What newer runs have written since would be put back by older rows.
_LONGEST_STAGED = timedelta(days=1)


def why_anew(last: Execution, folder: ResultsFolder, settings: LoadSettings, now: datetime) -> str | None:
    """Why the export is read anew, by a new execution; ``None`` where the open one goes on with what is staged.

    A new execution looks at each row as Salesforce holds it by then, and knows what the one before created, or may
    have: rows that are staged are sent only by the plan that they were staged by.

    :param last: what the journal holds.
    :param folder: its folder.
    :param now: the worker's time.
    :raises PlanChangedError: where neither can be without the risk of a second lead, or of an undone change.
    """
    if not last.open or last.asks_from is not None:
        return None
    if not folder.is_staged:
        is_left = last.sends and not last.jobs and folder.has_begun
        is_whole = is_left and folder.holds_parts(last.first_part, last.next_part)
        return "what an earlier try staged is not there any more, but its records are" if is_whole else None
    asked = settings.asked
    changed = {name for name, digest in last.asked.items() if digest != asked.get(name)}
    is_old = now - datetime.fromisoformat(last.started_at) > _LONGEST_STAGED
    if not changed and not is_old:
        return None
    is_carried = _is_carried(folder, last)
    is_doubtful = is_carried or any_announced(folder) or any_unknown(folder)
    # A lead that its answer did not name is found by the values that were sent, where it has no external ID.
    is_found_by_values = settings.change.creates and settings.external_id_field is None
    if "plan" in changed and (is_carried or (is_doubtful and is_found_by_values)):
        raise PlanChangedError(
            "The Dag has another mapping, or other parameters, than the try before, and rows of that are not settled: "
            "a bulk job holds them, or they got no answer. Set the parameters back for this run and clear the task, so "
            "that those rows are settled; then change them."
        )
    if "identity" in changed and settings.change.creates and (is_doubtful or any_created(folder)):
        raise PlanChangedError(
            "key, external_id_field or match_email is another one than in the try before, which has created leads that "
            "this run could not find by it. Set it back for this run and clear the task; then change it."
        )
    if is_carried or (is_doubtful and not changed):
        return None
    if changed:
        return "the mapping, the parameters or the export are other ones than its rows were staged by"
    return "its rows were staged more than a day ago"


def _is_carried(folder: ResultsFolder, last: Execution) -> bool:
    """Whether rows are staged that a job carries, or carried without a word of what became of them."""
    from airflow_provider_sfleads.pipeline.staged_pieces import Pieces, Role

    return any(
        piece.role is Role.UNKNOWN or (piece.slot.round and not piece.slot.has_met) or piece.slot.label in last.jobs
        for piece in Pieces(folder.staged()).all()
    )
