"""Picklists know no letter case: whatever way stages and values are spelled, a run decides the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.support import (
    FIELDS,
    Ran,
    Record,
    Task,
    by_external_id,
    creating,
    leads,
    moving,
    no_retry,
    people,
    run,
    writes,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")

# The last two are none that the org's picklist has; it takes them, and keeps the spelling in which they came.
STAGES = ["Lead", "MQL", "SAL", "SQL", "Élan", "Nurture"]
LADDER = ["Lead", "Élan", "MQL", "SAL", "SQL"]
SOURCES = ["Web", "Phone Inquiry", "Fair", None]
SEGMENTS = ["SMB", "Mid-Market", "Nobody", None]
INTERESTS = ["Pricing", "Product;Support", "Training;Gossip", None]
MAPPED = FIELDS | {"source": "LeadSource", "segment": "Segment__c", "interests": "Interests__c"}


@pytest.fixture(params=["collections", "bulk"])
def api(request: pytest.FixtureRequest) -> str:
    """Either API."""
    return str(request.param)


def stages_of(emulator: EmulatorServer) -> dict[str, Any]:
    """Where the leads stand, by external ID."""
    return {key: lead["Lead_Stage__c"] for key, lead in by_external_id(emulator).items()}


def in_stages(*stages: str | None) -> list[Record]:
    """One lead for each stage."""
    return [leads([row], Lead_Stage__c=stage)[0] for row, stage in zip(people(len(stages)), stages, strict=True)]


@pytest.mark.parametrize(("stage", "ladder"), [("mql", ["lead", "mql", "sal", "sql"]), ("MQL", ["LEAD", "Mql", "SAL"])])
def test_a_ladder_in_other_letter_case(
    emulator: EmulatorServer, tmp_path: Path, api: str, stage: str, ladder: list[str]
) -> None:
    """Who is below is moved, who is at the stage or beyond stays, and another run changes nothing."""
    emulator.seed_leads(in_stages("Lead", "SAL", "MQL"))
    first = run(moving(people(3), tmp_path, api=api, stage=stage, ladder=ladder))
    assert {key: row["reason"] or row["new_stage"] for key, row in first.by_key.items()} == {
        "K-0": "MQL", "K-1": "beyond_stage", "K-2": "already_at_stage",
    }  # fmt: skip
    assert stages_of(emulator) == {"K-0": "MQL", "K-1": "SAL", "K-2": "MQL"}
    history = emulator.history()
    second = Task(run_id="next").run(moving(people(3), tmp_path, api=api, stage=stage, ladder=ladder))

    assert second.full["unchanged_reasons"] == {"beyond_stage": 1, "already_at_stage": 2}
    assert emulator.history() == history


def test_a_stage_in_other_letter_case_without_a_ladder(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """It is written once, and its lead is not routed anew every night."""
    emulator.seed_leads(in_stages("Lead"))
    ran = [
        Task(run_id=night).run(moving(people(1), tmp_path, api=api, stage="mql", ladder=None)) for night in ("a", "b")
    ]

    assert [each.counts for each in ran] == [{"updated": 1}, {"unchanged": 1}]
    assert stages_of(emulator) == {"K-0": "MQL"}


@pytest.mark.parametrize("more", [{}, {"constants": {"Rating": "hot"}}, {"changed_only": True}], ids=repr)
def test_a_value_in_other_letter_case_is_written_once(
    emulator: EmulatorServer, tmp_path: Path, api: str, more: Record
) -> None:
    """As the org spells it."""
    rows = people(1, source="web", segment="smb", interests="SUPPORT;pricing;Support")

    def night(name: str) -> Ran:
        return Task(run_id=name).run(creating(rows, tmp_path, api=api, fields=MAPPED, existing="update", **more))

    assert [night(name).counts for name in ("a", "b", "c")] == [{"created": 1}, {"unchanged": 1}, {"unchanged": 1}]
    (lead,) = emulator.leads()
    assert (lead["LeadSource"], lead["Segment__c"], lead["Interests__c"]) == ("Web", "SMB", "Support;Pricing")
    assert lead["Rating"] == ("Hot" if "constants" in more else None)


def test_a_lead_whose_answer_was_lost_is_known_by_what_the_org_made_of_it(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """It was sent without a key, in another letter case than it is held in."""
    rows = people(5, source="web", segment="smb", interests="SUPPORT;pricing")
    emulator.add_fault("drop_after", method="POST", path="/composite/sobjects", nth=1)
    ran = run(creating(rows, tmp_path, api="collections", fields=MAPPED, external_id_field=None))

    assert (ran.error, ran.counts) == (None, {"created": 5})
    assert len(emulator.leads()) == 5


def test_a_dry_run_tells_the_orgs_spelling(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """As a live run writes it."""
    emulator.seed_leads(in_stages("Lead", "MQL"))
    ran = run(moving(people(2), tmp_path, api=api, stage="mql", ladder=["lead", "mql"], dry_run=True))

    assert ran.counts == {"would_update": 1, "unchanged": 1}
    assert ran.by_key["K-0"]["new_stage"] == "MQL"


def test_text_minds_letter_case(emulator: EmulatorServer, tmp_path: Path, api: str) -> None:
    """A stage that is text is another one in another letter case, and so is any text."""
    field = {"name": "Stage_Text__c", "label": "Stage", "length": 40}
    emulator.change_settings(extra_fields=[field])
    emulator.seed_leads(leads(people(2)))
    lead_ids = [lead["Id"] for lead in emulator.leads()]
    for lead_id, stage in zip(lead_ids, ("MQL", "mql"), strict=True):
        emulator.edit_lead(lead_id, Stage_Text__c=stage)
    ran = run(moving(people(2), tmp_path, api=api, stage_field="Stage_Text__c", stage="mql", ladder=["lead", "mql"]))
    reasons = {key: row["reason"] for key, row in ran.by_key.items()}
    assert reasons == {"K-0": "stage_not_on_ladder", "K-1": "already_at_stage"}
    rows = people(2, company="ACME")
    ran = Task(run_id="b").run(creating(rows, tmp_path, api=api, existing="update"))

    assert ran.counts == {"updated": 2}


def test_a_ladder_with_a_stage_in_two_spellings(emulator: EmulatorServer, tmp_path: Path) -> None:
    """They are one stage."""
    ran = run(moving(people(1), tmp_path, ladder=["Lead", "MQL", "mql"]))

    assert no_retry(ran.error)
    assert "twice" in str(ran.error)
    assert not writes(emulator)


class Spelling:
    """Spells words: as they are, or each letter in either case."""

    def __init__(self, chance: Random | None = None) -> None:
        self._chance = chance

    def __call__(self, word: str | None) -> str | None:
        """A word, or nothing."""
        return None if word is None else "".join(map(self._letter, word))

    def each(self, words: Sequence[str | None]) -> list[str | None]:
        """Several words."""
        return [self(word) for word in words]

    def _letter(self, letter: str) -> str:
        return letter if self._chance is None else self._chance.choice([letter.lower(), letter.upper()])


Asked = Callable[[Spelling], "Callable[..., LeadSyncOperator]"]
"""Makes an operator, of folder and more, that spells as it is told."""


def nights(emulator: EmulatorServer, asked: Asked, spelled: Spelling, folder: Path, api: str) -> tuple[object, object]:
    """Two runs in an org of its own spelling: what the first decides of each row, and what the leads hold then."""
    emulator.reset()
    emulator.change_settings(extra_fields=list(picklists(spelled)))
    stages = [None, *STAGES]
    emulator.seed_leads(
        leads(
            [row],
            Lead_Stage__c=spelled(stages[n % 7]),
            LeadSource=spelled(SOURCES[n % 3]),
            Interests__c=spelled(INTERESTS[n % 4]),
        )[0]
        for n, row in enumerate(people(35))
    )
    place = tempfile.mkdtemp(dir=folder)
    first = Task(run_id="first").run(asked(spelled)(place, api=api, max_rejects=1000))
    assert first.error is None
    history = emulator.history()
    second = Task(run_id="second").run(asked(spelled)(place, api=api, max_rejects=1000))
    assert {"created", "updated"}.isdisjoint(second.counts)
    assert emulator.history() == history
    told = ("key", "action", "reason", "error_code", "new_stage")
    held = ("External_Id__c", "Lead_Stage__c", "LeadSource", "Segment__c", "Interests__c", "Rating")
    return folded(first.rows, told), folded(emulator.leads(), held)


def picklists(spelled: Spelling) -> Iterator[Record]:
    """The org's picklists."""
    usual = {"type": "picklist", "length": 255}
    yield {"name": "Lead_Stage__c", "picklist": spelled.each(STAGES[:4]), **usual}
    yield {"name": "LeadSource", "picklist": spelled.each(SOURCES[:2]), **usual}
    yield {"name": "Segment__c", "picklist": spelled.each(SEGMENTS[:2]), "restricted": True, **usual}
    choices = spelled.each(["Product", "Pricing", "Training", "Support"])
    yield {"name": "Interests__c", "picklist": choices, "type": "multipicklist", "length": 4099}


def folded(records: Iterable[Record], names: Sequence[str]) -> list[list[str]]:
    """Some of what records hold, without letter case, in an order of its own."""
    return sorted([str(record.get(name)).lower() for name in names] for record in records)


# A run takes a second: nothing smaller is sought for one that fails.
few = settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@few
@given(seed=st.integers(0), ladder=st.sampled_from([LADDER, None]))
def test_moves_in_any_mixture_of_letter_cases(
    emulator: EmulatorServer, tmp_path: Path, api: str, seed: int, ladder: list[str] | None
) -> None:
    """Of ladder, stage, from_stages, the export's own stages and the org's."""

    def moves(spelled: Spelling) -> Callable[..., LeadSyncOperator]:
        stages = ["Nurture", "Lead", "SAL", None, "Élan"]
        rows = [{**row, "at": spelled(stages[n % 5])} for n, row in enumerate(people(36))]
        asked: Record = {"stage": spelled("MQL"), "ladder": spelled.each(ladder) if ladder else None}
        asked |= {"current_stage": "at", "from_stages": spelled.each(["Lead", "SAL", "Élan", None])}
        asked |= {"constants": {"Rating": spelled("Hot")}}
        return lambda folder, **more: moving(rows, folder, **asked, **more)

    plainly = nights(emulator, moves, Spelling(), tmp_path, api)
    assert nights(emulator, moves, Spelling(Random(seed)), tmp_path, api) == plainly


@few
@given(seed=st.integers(0), changed_only=st.booleans())
def test_values_in_any_mixture_of_letter_cases(
    emulator: EmulatorServer,
    tmp_path: Path,
    api: str,
    seed: int,
    changed_only: bool,  # noqa: FBT001
) -> None:
    """Of the export's values, constants and the org's own."""

    def creates(spelled: Spelling) -> Callable[..., LeadSyncOperator]:
        values = {"source": SOURCES, "segment": SEGMENTS, "interests": INTERESTS}
        rows = [
            {**row, **{name: spelled(each[n % 4]) for name, each in values.items()}} for n, row in enumerate(people(40))
        ]
        asked: Record = {"fields": MAPPED, "existing": "update", "constants": {"Rating": spelled("Warm")}}
        return lambda folder, **more: creating(rows, folder, changed_only=changed_only, **asked, **more)

    plainly = nights(emulator, creates, Spelling(), tmp_path, api)
    assert nights(emulator, creates, Spelling(Random(seed)), tmp_path, api) == plainly
