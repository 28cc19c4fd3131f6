"""Decide what the export alone can tell, by the column: keys, score and stage, mapping and conversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.keys import key_text, valid_key
from airflow_provider_sfleads.core.mapping import cleared
from airflow_provider_sfleads.core.outcome import Action, BadRow, Reason, Row
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.core.text import cell_text, is_unicode
from airflow_provider_sfleads.core.values import Refusal
from airflow_provider_sfleads.pipeline.column_equality import key_form
from airflow_provider_sfleads.pipeline.column_text import (
    Mask,
    Texts,
    is_scalar,
    lead_ids,
    mask_of,
    matches,
    may_hold,
    none_of,
    plain,
    texts,
    trimmed,
    valid,
)
from airflow_provider_sfleads.pipeline.field_values import cell_of, cells_of
from airflow_provider_sfleads.pipeline.key_memory import KeyMemory
from airflow_provider_sfleads.pipeline.plan import Candidate, Plan, Recipe, Settled
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, staged_schema
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ids import lead_id
from airflow_provider_sfleads.salesforce.ingest_jobs import EMPTIED

_PLAIN = pa.schema([(name, pa.string()) for name in ("key", "action", "reason")])

_NUMBER = r"^-?[0-9]{1,18}(?:\.[0-9]{1,18})?$"
# Farther from the threshold than this part of it, a float is on the same side of it as the number that it stands for.
_NEAR = 1e-9
_REASONS = (Reason.NO_SCORE, Reason.BELOW_THRESHOLD, Reason.STAGE_NOT_ELIGIBLE)
_BELOW = _REASONS.index(Reason.BELOW_THRESHOLD)
_PASSED, _ODD = -1, -2
_Codes = npt.NDArray[np.int8]
"""For each row the place of its reason in ``_REASONS``, or one of the two before."""
# Types whose values come back out of a column just as they went in. Arrow would make 1.0 of 1 beside 0.5, and brings
# date-times of several zones into one, where it may be another day.
_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), date: pa.date32()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of the rows of a chunk.

    :param read: how many there were.
    :param plain: key, action and reason of rows that are filtered out or repeat a key.
    :param settled: rows that the row code has refused.
    :param candidates: the rest, staged.
    """

    read: int
    plain: pa.RecordBatch
    settled: list[Settled]
    candidates: pa.RecordBatch


@dataclass(slots=True)
class _Keys:
    """The keys of a chunk: as text, as they are compared, and which rows have none that can be one."""

    text: pa.Array
    form: pa.Array
    bad: Mask


class ColumnIntake:
    """Decides about chunks; which keys came before is its own business, so the plan takes every key for new.

    :param recipe: what to go by.
    :param plan: the row code, for rows that take a closer look.
    :param memory: remembers keys and Lead ids.
    :param columns: the export's columns.
    """

    def __init__(self, recipe: Recipe, plan: Plan, memory: KeyMemory, columns: Sequence[str]) -> None:
        self._recipe = recipe
        self._plan = plan
        self._memory = memory
        self._columns = tuple(columns)
        self._names = tuple(info.name for info in recipe.fields)
        # A constant that is given as None empties its field.
        self._constants = {name: cell_of(value) for name, value in recipe.mapping.constants.items()}

    def take(self, chunk: pa.RecordBatch | list[Row | BadRow]) -> Taken:
        """Decide about the rows of a chunk."""
        if isinstance(chunk, list):
            return self._of_rows(chunk)
        chunk = choosable(chunk)
        keys = self._keys(chunk)
        odd = keys.bad
        ids = self._lead_ids(chunk)
        repeated = self._repeated(keys, ids)
        open_ = ~odd & ~repeated
        plain_parts = [_plain_lines(keys.text, repeated, Action.DUPLICATE_KEY, None)]
        if self._recipe.rule is not None:
            found = filtered(self._recipe.rule, chunk)
            for reason, out in found.out.items():
                plain_parts.append(_plain_lines(keys.text, open_ & out, Action.FILTERED, reason))
                open_ &= ~out
            odd = odd | (open_ & found.odd)
            open_ &= ~found.odd
        staged, unsure = self._staged(chunk, keys, ids, open_)
        odd[np.flatnonzero(open_)[unsure]] = True
        sure = np.flatnonzero(open_)[~unsure]
        candidates = staged.filter(pa.array(~unsure)) if unsure.any() else staged
        settled: list[Settled] = []
        if odd.any():
            looked_at = chunk.filter(pa.array(odd))
            settled, passed = self._by_row(rows_of(looked_at))
            if passed:
                at = np.array(list(passed), dtype=np.int64)
                more = self._from_rows(list(passed.values()), looked_at.take(pa.array(at)))
                order = np.argsort(np.concatenate([sure, np.flatnonzero(odd)[at]]))
                candidates = pa.concat_batches([candidates, more]).take(pa.array(order))
        return Taken(read=chunk.num_rows, plain=_joined(plain_parts), settled=settled, candidates=candidates)

    def _of_rows(self, rows: list[Row | BadRow]) -> Taken:
        """Return rows that do not lie in columns: only the keys are looked at together."""
        whole = [row for row in rows if not isinstance(row, BadRow)]
        settled, _ = self._by_row([row for row in rows if isinstance(row, BadRow)])
        batch = in_columns(whole, self._columns)
        taken = self._of_mixed(whole) if batch is None else self.take(batch)
        return replace(taken, read=len(rows), settled=settled + taken.settled)

    def _of_mixed(self, rows: list[Row]) -> Taken:
        """Return rows with columns of several types: only the keys are looked at together."""
        known = [valid_key(row[self._recipe.key_column]) for row in rows]
        text = pa.array(known, pa.string())
        keys = _Keys(text=text, form=key_form(self._recipe.external, text), bad=~valid(text))
        repeated = self._repeated(keys, self._ids_of_rows(rows))
        settled, found = self._by_row([row for row, again in zip(rows, repeated, strict=True) if not again])
        candidates = list(found.values())
        return Taken(
            read=len(rows),
            plain=_plain_lines(text, repeated, Action.DUPLICATE_KEY, None),
            settled=settled,
            candidates=self._from_rows(candidates, as_strings([one.row for one in candidates], self._columns)),
        )

    def _keys(self, chunk: pa.RecordBatch) -> _Keys:
        column = plain(chunk.column(self._recipe.key_column))
        found = texts(column)
        text = trimmed(found.array)
        if found.unsure.any():
            unsure = pa.array(found.unsure)
            known = pa.array([valid_key(value) for value in column.filter(unsure).to_pylist()], pa.string())
            text = pc.replace_with_mask(text, unsure, known)
        bad = ~valid(text) | mask_of(pc.equal(text, ""))
        return _Keys(text=text, form=key_form(self._recipe.external, text), bad=bad)

    def _lead_ids(self, chunk: pa.RecordBatch) -> pa.Array:
        if self._recipe.lead_id is None:
            return pa.nulls(chunk.num_rows, pa.string())
        column = plain(chunk.column(self._recipe.lead_id))
        if pa.types.is_string(column.type):
            return lead_ids(column)
        # No id comes as anything but text; the row code says what is wrong with these.
        return pa.nulls(chunk.num_rows, pa.string())

    def _ids_of_rows(self, rows: Sequence[Row]) -> pa.Array:
        if self._recipe.lead_id is None:
            return pa.nulls(len(rows), pa.string())
        return pa.array([lead_id(key_text(row[self._recipe.lead_id])) for row in rows], pa.string())

    def _repeated(self, keys: _Keys, ids: pa.Array) -> Mask:
        """Return rows whose key, or whose Lead id, a row before them has; of a repeated key the id does not count."""
        repeated = none_of(keys.text)
        good = np.flatnonzero(~keys.bad)
        new = self._memory.add_many(keys.form.take(pa.array(good)), "key")
        repeated[good[~new]] = True
        with_id = good[new & valid(ids)[good]]
        if len(with_id):
            unseen = self._memory.add_many(ids.take(pa.array(with_id)), "id")
            repeated[with_id[~unseen]] = True
        return repeated

    def _staged(self, chunk: pa.RecordBatch, keys: _Keys, ids: pa.Array, which: Mask) -> tuple[pa.RecordBatch, Mask]:
        """Return rows with their cells, and which of them take a closer look."""
        chosen = pa.array(which)
        everything = bool(which.all())
        rows = chunk if everything else chunk.filter(chosen)
        key = keys.text if everything else keys.text.filter(chosen)
        id_ = ids if everything else ids.filter(chosen)
        odd = self._odd_ids(rows, key, id_)
        cells: dict[str, pa.Array] = {}
        if self._recipe.stage_field is not None and self._recipe.rule is not None:
            cells[self._recipe.stage_field.name] = _constant(self._recipe.rule.stage, rows.num_rows)
        if self._recipe.writes_key and self._recipe.external is not None:
            found = cells_of(self._recipe.external, key)
            cells[self._recipe.external.name], odd = found.array, odd | found.unsure
        for column, info in self._recipe.mapping.columns:
            found = self._mapped(rows.column(column), info)
            cells[info.name], odd = found.array, odd | found.unsure
        for name, cell in self._constants.items():
            cells[name] = _constant(cell, rows.num_rows)
        for name in self._recipe.mapping.required if self._recipe.need_required else ():
            odd = odd | ~valid(cells[name]) | mask_of(pc.equal(cells[name], CLEAR))
        form = keys.form if everything else keys.form.filter(chosen)
        match = form if self._recipe.external is not None else pa.nulls(rows.num_rows, pa.string())
        return self._batch(key, id_, match, cells, rows), odd

    def _odd_ids(self, rows: pa.RecordBatch, key: pa.Array, ids: pa.Array) -> Mask:
        """Return rows whose lead nothing well-formed names; only a plan that finds leads has such."""
        recipe = self._recipe
        if recipe.stage_field is None:
            return none_of(key)
        without = ~valid(ids)
        odd = none_of(key)
        if recipe.lead_id is not None:
            given = plain(rows.column(recipe.lead_id))
            if pa.types.is_string(given.type):
                odd |= without & mask_of(pc.not_equal(trimmed(given), ""))
            else:
                odd |= without & valid(given)
        if recipe.external is not None:
            return odd | (without & cells_of(recipe.external, key).unsure)
        return odd if recipe.by_email else odd | without

    def _mapped(self, column: pa.Array, info: FieldInfo) -> Texts:
        found = cells_of(info, column, truncate=self._recipe.mapping.truncate)
        if self._recipe.mapping.nulls != "clear":
            return found
        blank = cleared(info)
        if isinstance(blank, Refusal):
            return Texts(found.array, found.unsure | ~valid(found.array))
        return Texts(pc.fill_null(found.array, cell_of(blank)), found.unsure)

    def _batch(
        self, key: pa.Array, ids: pa.Array, match: pa.Array, cells: Mapping[str, pa.Array], rows: pa.RecordBatch
    ) -> pa.RecordBatch:
        apart = np.zeros(len(key), dtype=np.bool_)
        for cell in cells.values():
            if may_hold(cell, EMPTIED.encode()):
                apart |= mask_of(pc.equal(trimmed(cell), EMPTIED))
        arrays = [key, ids, match, pa.array(apart), *(cells[name] for name in self._names), *rows.columns]
        return pa.RecordBatch.from_arrays(arrays, schema=staged_schema(self._names, rows.schema))

    def _by_row(self, rows: Sequence[Row | BadRow]) -> tuple[list[Settled], dict[int, Candidate]]:
        """Return what the row code decides: what is settled, and the candidates by their places among the rows."""
        settled: list[Settled] = []
        candidates: dict[int, Candidate] = {}
        for place, row in enumerate(rows):
            taken = self._plan.take(row)
            if isinstance(taken, Settled):
                settled.append(taken)
            else:
                candidates[place] = taken
        return settled, candidates

    def _from_rows(self, candidates: Sequence[Candidate], rows: pa.RecordBatch) -> pa.RecordBatch:
        """Candidates of the row code, staged; their rows lie in columns already."""
        cells = {
            name: pa.array([_cell(candidate, name) for candidate in candidates], pa.string()) for name in self._names
        }
        return self._batch(
            pa.array([candidate.key for candidate in candidates], pa.string()),
            pa.array([candidate.lead_id for candidate in candidates], pa.string()),
            pa.array([candidate.external_id for candidate in candidates], pa.string()),
            cells,
            rows,
        )


def _cell(candidate: Candidate, name: str) -> str | None:
    return cell_of(candidate.record[name]) if name in candidate.record else None


def _constant(cell: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(cell, pa.string()), count)


def _plain_lines(keys: pa.Array, which: Mask, action: Action, reason: Reason | None) -> pa.RecordBatch:
    rows = keys.filter(pa.array(which))
    said = pa.scalar(None if reason is None else str(reason), pa.string())
    return pa.RecordBatch.from_arrays(
        [rows, pa.repeat(str(action), len(rows)), pa.repeat(said, len(rows))], schema=_PLAIN
    )


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


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
    """Return what the rule says of each distinct value.

    It takes a look at the row where one is refused, or no single one.
    """
    if not is_scalar(values.type):
        return np.where(valid(values), _ODD, _code(rule(None))).astype(np.int8)
    coded = values.dictionary_encode(null_encoding="encode")
    known = np.array([_code(rule(value)) for value in coded.dictionary.to_pylist()], dtype=np.int8)
    return np.asarray(known[coded.indices.to_numpy()])


def _code(found: Reason | Refusal | None) -> int:
    if found is None:
        return _PASSED
    return _ODD if isinstance(found, Refusal) else _REASONS.index(found)


def choosable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with its columns of types that Arrow can choose rows of."""
    types = pa.types
    if not any(types.is_string_view(kind) or types.is_binary_view(kind) for kind in batch.schema.types):
        return batch
    return pa.RecordBatch.from_arrays([_choosable(column) for column in batch.columns], names=batch.schema.names)


def rows_of(batch: pa.RecordBatch) -> list[Row]:
    """Return the rows of a batch whose columns hold only what Python's own types can."""
    rows: list[Row] = batch.to_pylist()
    return rows


def in_columns(rows: Sequence[Row], columns: Sequence[str]) -> pa.RecordBatch | None:
    """Put rows into columns; ``None`` where a column is of no one type that keeps its values as they are."""
    arrays: list[pa.Array] = []
    for name in columns:
        values = [row[name] for row in rows]
        kinds = {type(value) for value in values} - {type(None)}
        if len(kinds) > 1 or not kinds <= _TYPES.keys():
            return None
        try:
            arrays.append(pa.array(values, _TYPES[kinds.pop()] if kinds else pa.null()))
        except (pa.ArrowException, ValueError, OverflowError):
            # Half a character, or more digits than 64 bits hold.
            return None
    return pa.RecordBatch.from_arrays(arrays, names=list(columns)) if arrays else None


def as_strings(rows: Sequence[Row], columns: Sequence[str]) -> pa.RecordBatch:
    """Return rows as columns of text, whatever their values are."""
    arrays = [pa.array([as_text(row[name]) for row in rows], pa.string()) for name in columns]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def as_text(value: object) -> str | None:
    """Return a value as rejects show it; half a character becomes a question mark."""
    if value is None:
        return None
    text = cell_text(value)
    return text if is_unicode(text) else text.encode(errors="replace").decode()


def _choosable(column: pa.Array) -> pa.Array:
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column.cast(pa.binary()) if pa.types.is_binary_view(column.type) else column
