"""Who is moved to a stage: :meth:`core.stage.StageRule.filter`, by the column."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.core.values import Refusal
from airflow_provider_sfleads.pipeline.text import Mask, is_scalar, matches, plain, trimmed, valid

_NUMBER = r"^-?[0-9]{1,18}(?:\.[0-9]{1,18})?$"
# Farther from the threshold than this part of it, a float is on the same side of it as the number that it stands for.
_NEAR = 1e-9
_REASONS = (Reason.NO_SCORE, Reason.BELOW_THRESHOLD, Reason.STAGE_NOT_ELIGIBLE)
_BELOW = _REASONS.index(Reason.BELOW_THRESHOLD)
_PASSED, _ODD = -1, -2

_Codes = npt.NDArray[np.int8]
"""For each row the place of its reason in ``_REASONS``, or one of the two below."""


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
    codes = np.full(batch.num_rows, _PASSED, dtype=np.int8)
    if rule.score is not None and rule.threshold is not None:
        codes = _by_score(plain(batch.column(rule.score)), rule.of_score, rule.threshold)
    if rule.current_stage is not None and rule.from_stages is not None:
        stages = _by_rule(plain(batch.column(rule.current_stage)), rule.of_known_stage)
        codes = np.where(codes == _PASSED, stages, codes)
    return Filtered(out={reason: codes == code for code, reason in enumerate(_REASONS)}, odd=codes == _ODD)


def _by_score(scores: pa.Array, rule: Callable[[object], Reason | Refusal | None], threshold: Decimal) -> _Codes:
    """Scores that are not near the threshold compare as floats do; the others take the rule."""
    types, kind = pa.types, scores.type
    if types.is_string(kind):
        text = trimmed(scores)
        numbers = pc.if_else(pa.array(matches(text, _NUMBER)), text, None).cast(pa.float64())
    elif types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = scores.cast(pa.float64(), safe=False)
    else:
        return _by_rule(scores, rule)
    floats, limit = numbers.to_numpy(zero_copy_only=False), float(threshold)
    with np.errstate(invalid="ignore"):
        sure = np.isfinite(floats) & (np.abs(floats - limit) > _NEAR * max(abs(limit), 1))
    codes = np.where(floats < limit, _BELOW, _PASSED).astype(np.int8)
    if not sure.all():
        codes[~sure] = _by_rule(scores.filter(pa.array(~sure)), rule)
    return codes


def _by_rule(values: pa.Array, rule: Callable[[object], Reason | Refusal | None]) -> _Codes:
    """What the rule says of each distinct value; it takes a look at the row where one is refused, or no single one."""
    if not is_scalar(values.type):
        return np.where(valid(values), _ODD, _code(rule(None))).astype(np.int8)
    coded = values.dictionary_encode(null_encoding="encode")
    known = np.array([_code(rule(value)) for value in coded.dictionary.to_pylist()], dtype=np.int8)
    return np.asarray(known[coded.indices.to_numpy()])


def _code(verdict: Reason | Refusal | None) -> int:
    if verdict is None:
        return _PASSED
    return _ODD if isinstance(verdict, Refusal) else _REASONS.index(verdict)
