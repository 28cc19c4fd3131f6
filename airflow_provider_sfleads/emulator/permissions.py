"""What the run-as user may do: the one place that everything else here asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema
from airflow_provider_sfleads.emulator.lead_fields import CONTACT_FIELDS, CUSTOM_LEAD_FIELDS, STANDARD_LEAD_FIELDS

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.settings import EmulatorSettings

Action = Literal["Create", "Edit", "Delete"]
ACTIONS: tuple[Action, ...] = ("Create", "Edit", "Delete")

_GENERAL = ("ApiEnabled", "ViewSetup", "Lead.Read", *(f"Lead.{action}" for action in ACTIONS), "Contact.Read")
# A lookup field goes with the object that it leads to; people and queues everybody sees.
_LOOKED_UP = frozenset({"Account", "Contact", "Opportunity"})


def known_permissions(extra: Iterable[FieldSpec] = ()) -> list[str]:
    """Return the permissions that can be taken away, by name; `extra` are further fields of Lead."""
    leads = {spec.name: spec for spec in (*STANDARD_LEAD_FIELDS, *CUSTOM_LEAD_FIELDS, *extra)}
    of_leads = [f"Lead.{name}.{kind}" for name, spec in leads.items() if spec.permissionable for kind in _kinds(spec)]
    of_contacts = [f"Contact.{spec.name}.Read" for spec in CONTACT_FIELDS if spec.permissionable]
    return [*_GENERAL, *of_leads, *of_contacts]


def _kinds(spec: FieldSpec) -> tuple[str, ...]:
    return ("Read", "Edit") if spec.createable or spec.updateable else ("Read",)


def check_known(denied: Iterable[str], extra: Iterable[FieldSpec] = ()) -> None:
    """Refuse names that are no permission, or one that nobody can take away."""
    known = known_permissions(extra)
    for name in denied:
        if name in known:
            continue
        subject, _, kind = name.rpartition(".")
        if kind in {"Read", "Edit"} and subject.removeprefix("Lead.").removeprefix("Contact.") in _field_names(extra):
            message = (
                f"Permission {name} cannot be taken away: field-level security does not apply to required and system "
                "fields, a lookup field goes with the object that it leads to, and contacts are only read here. "
            )
        else:
            message = f"Unknown permission {name!r}. "
        raise ValueError(f"{message}Known are {known}")


def _field_names(extra: Iterable[FieldSpec]) -> set[str]:
    return {spec.name for spec in (*STANDARD_LEAD_FIELDS, *CUSTOM_LEAD_FIELDS, *CONTACT_FIELDS, *extra)}


@dataclass(frozen=True, slots=True)
class Permissions:
    """What the settings leave the run-as user.

    `invisible` objects are in lower case, and so are the fields of Lead (`hidden`) that the older settings name.
    """

    denied: frozenset[str]
    invisible: frozenset[str]
    hidden: frozenset[str]
    api: bool
    setup: bool

    @classmethod
    def of(cls, settings: EmulatorSettings) -> Permissions:
        """Put the switches together that take something away."""
        denied = frozenset(settings.denied)
        invisible = {name.lower() for name in settings.hidden_objects}
        invisible |= set() if settings.lead_access and "Lead.Read" not in denied else {"lead"}
        invisible |= {"contact"} if "Contact.Read" in denied else set()
        invisible |= {"assignmentrule"} if "ViewSetup" in denied else set()
        return cls(
            denied=denied,
            invisible=frozenset(invisible),
            hidden=frozenset(name.lower() for name in settings.hidden_fields),
            api=settings.api_enabled and "ApiEnabled" not in denied,
            setup=settings.limits_access and "ViewSetup" not in denied,
        )

    def sees(self, sobject: str) -> bool:
        """Return whether an object exists for the user."""
        return sobject.lower() not in self.invisible

    def may(self, action: Action) -> bool:
        """Return whether the user may do this to leads; who may not edit may not delete."""
        without = {"Lead.Edit", "Lead.Delete"} if action == "Delete" else {f"Lead.{action}"}
        return self.sees("Lead") and without.isdisjoint(self.denied)

    def seen(self, schema: ObjectSchema) -> ObjectSchema:
        """Return an object as the user sees it: without what is invisible, and read-only where it may not be edited."""
        shown = (spec for spec in schema.fields.values() if self._reads(schema.name, spec))
        return ObjectSchema(schema.name, (self._limited(schema.name, spec) for spec in shown))

    def _reads(self, sobject: str, spec: FieldSpec) -> bool:
        if sobject == "Lead" and spec.name.lower() in self.hidden:
            return False
        leads_to = _LOOKED_UP.intersection(spec.reference_to)
        if leads_to and not any(map(self.sees, leads_to)):
            return False
        return f"{sobject}.{spec.name}.Read" not in self.denied

    def _limited(self, sobject: str, spec: FieldSpec) -> FieldSpec:
        if sobject != "Lead":
            return spec
        edits = f"Lead.{spec.name}.Edit" not in self.denied
        creates, updates = (edits and self.may(action) for action in ("Create", "Edit"))
        return replace(spec, createable=spec.createable and creates, updateable=spec.updateable and updates)
