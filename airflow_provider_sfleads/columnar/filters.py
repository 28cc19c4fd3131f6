"""Who is moved to a stage, by the column: ``core.stage.StageRule.filter``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.columnar.text import Mask, is_scalar, mask_of, none_of, plain, texts, trimmed, valid
from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.core.stage import StageRule

_NUMBER = r"^-?[0-9]{1,18}(\.[0-9]{1,9})?$"
_EXACT = pa.decimal128(38, 12)
_MOST = Decimal(2) ** 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Filtered:
    """What a rule says of rows.

    :param out: rows ruled out, by the reason.
    :param odd: rows of which only the row code can say it.
    """

    out: dict[Reason, Mask]
    odd: Mask


def filtered(rule: StageRule, batch: pa.RecordBatch) -> Filtered:
    """Apply a rule; a row is ruled out for one reason only, the score's before the stage's."""
    out: dict[Reason, Mask] = {}
    odd = np.zeros(batch.num_rows, dtype=np.bool_)
    if rule.score is not None and rule.threshold is not None:
        nothing, below, odd = _by_score(plain(batch.column(rule.score)), rule.threshold)
        out[Reason.NO_SCORE] = nothing
        out[Reason.BELOW_THRESHOLD] = below & ~odd
    if rule.current_stage is not None and rule.from_stages is not None:
        eligible, unsure = _by_stage(plain(batch.column(rule.current_stage)), rule.from_stages, rule.compared)
        odd = odd | unsure
        gone = np.logical_or.reduce([*out.values(), odd])
        out[Reason.STAGE_NOT_ELIGIBLE] = ~eligible & ~gone
    return Filtered(out=out, odd=odd)


def _by_score(scores: pa.Array, threshold: Decimal) -> tuple[Mask, Mask, Mask]:
    """Rows without a score, rows whose score is too low, and rows that take a closer look."""
    types, kind = pa.types, scores.type
    there = valid(scores)
    if types.is_integer(kind):
        numbers = pc.fill_null(scores, 0).to_numpy(zero_copy_only=False)
        return ~there, there & (numbers <= _whole(threshold)), none_of(scores)
    if types.is_floating(kind):
        # To 64 bits first, which is what Python makes of 32.
        numbers = scores.cast(pa.float64()).to_numpy(zero_copy_only=False)
        limit = float(threshold)
        # A score counts as the shortest decimal that reads as its float: of the one at the limit, this has to be asked.
        below = numbers <= limit if Decimal(repr(limit)) <= threshold else numbers < limit
        return np.isnan(numbers), below, np.isinf(numbers)
    if types.is_string(kind):
        text = trimmed(scores)
        nothing = ~there | mask_of(pc.equal(text, ""))
        sure = mask_of(pc.match_substring_regex(text, _NUMBER))
        scores = pc.if_else(pa.array(sure), text, None)
    elif types.is_decimal(kind):
        nothing, sure = ~there, there
    else:
        return ~there, none_of(scores), there
    try:
        below = mask_of(pc.less_equal(scores.cast(_EXACT), pa.scalar(threshold).cast(_EXACT)))
    except pa.ArrowInvalid:
        # More digits than a column's decimals have.
        return nothing, none_of(scores), ~nothing
    return nothing, below, ~nothing & ~sure


def _whole(threshold: Decimal) -> int:
    """The greatest whole number that is no more than the threshold, as far as columns hold such."""
    return int(max(min(threshold, _MOST), -_MOST).to_integral_value(ROUND_FLOOR))


def _by_stage(stages: pa.Array, eligible: frozenset[str | None], compared: Callable[[str], str]) -> tuple[Mask, Mask]:
    if not is_scalar(stages.type):
        return ~valid(stages) if None in eligible else none_of(stages), valid(stages)
    found = texts(stages)
    text = pc.if_else(pc.equal(trimmed(found.array), ""), None, trimmed(found.array))
    coded = text.dictionary_encode()
    known = pa.array([compared(stage) in eligible for stage in coded.dictionary.to_pylist()], pa.bool_())
    inside = mask_of(known.take(coded.indices))
    return inside | (~valid(text) if None in eligible else none_of(text)), found.unsure
