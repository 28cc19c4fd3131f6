"""Find leads and contacts by e-mail address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, LeadRecord
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.salesforce.describe import FieldInfo

_EMAIL = FieldInfo(name="Email", type="email")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailMatch:
    """Looks people up by e-mail.

    :param column: export column that holds the e-mail address.
    :param fields: Lead fields to read of those found.
    :param contacts: whether contacts count too.
    :param external: external-ID field that holds the key.
    """

    column: str
    fields: tuple[str, ...]
    contacts: bool
    external: FieldInfo | None

    def find(
        self, candidates: Sequence[Candidate], lookup: LeadLookup, *, more: Sequence[str] = ()
    ) -> dict[str, list[LeadRecord]]:
        """Leads (with ``IsConverted``) and contacts (without) of each candidate, by its key.

        :param more: further fields of leads.
        """
        emails = {candidate.key: self.email_of(candidate) for candidate in candidates}
        wanted = tuple(dict.fromkeys(email for email in emails.values() if email))
        if not wanted:
            return {}
        fields = dict.fromkeys(("IsConverted", "ConvertedContactId", *self.fields, *more))
        leads = lookup.by_field(_EMAIL, wanted, tuple(fields))
        contacts = lookup.by_field(_EMAIL, wanted, (), sobject="Contact") if self.contacts else {}
        people = {key: [*leads.get(email, ()), *contacts.get(email, ())] for key, email in emails.items()}
        return {key: found for key, found in people.items() if found}

    def is_another(self, candidate: Candidate, lead: LeadRecord) -> bool:
        """Return whether a lead found by e-mail belongs to another key, which must not be taken from it."""
        theirs = key_text(lead.get(self.external.name)) if self.external else ""
        return bool(theirs) and compared_by(self.external)(theirs) != candidate.external_id

    def email_of(self, candidate: Candidate) -> str:
        """Return the candidate's e-mail address as it is compared; empty where it has none."""
        return compared_by(_EMAIL)(key_text(candidate.row[self.column]))
