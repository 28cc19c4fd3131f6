"""The fields of the org that the emulator stands in for: Lead, and the few objects around it.

Lead's own fields are those of a new scratch org, as recorded with API v59.0 (`tests/samples/describe`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_sfleads.emulator.fields import FieldSpec, ObjectSchema

STATUSES = (
    "Open - Not Contacted",
    "Working - Contacted",
    "Closed - Converted",
    "Closed - Not Converted",
)
_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")
_INDUSTRIES = (
    "Agriculture", "Apparel", "Banking", "Biotechnology", "Chemicals", "Communications",
    "Construction", "Consulting", "Education", "Electronics", "Energy", "Engineering",
    "Entertainment", "Environmental", "Finance", "Food & Beverage", "Government", "Healthcare",
    "Hospitality", "Insurance", "Machinery", "Manufacturing", "Media", "Not For Profit",
    "Recreation", "Retail", "Shipping", "Technology", "Telecommunications", "Transportation",
    "Utilities", "Other",
)  # fmt: skip


def _text(name: str, label: str, length: int, **more: Any) -> FieldSpec:
    return FieldSpec(name=name, label=label, length=length, **more)


def _flag(name: str, label: str, **more: Any) -> FieldSpec:
    return FieldSpec(
        name=name,
        label=label,
        type="boolean",
        nillable=False,
        defaulted_on_create=True,
        default=False,
        **more,
    )


def _system(name: str, label: str, kind: str, **more: Any) -> FieldSpec:
    return FieldSpec(
        name=name,
        label=label,
        type=kind,
        createable=False,
        updateable=more.pop("updateable", False),
        length=more.pop("length", 18 if kind in {"id", "reference"} else 0),
        nillable=more.pop("nillable", True),
        **more,
    )


def _stamp(name: str, label: str, kind: str, **more: Any) -> FieldSpec:
    return _system(name, label, kind, nillable=False, defaulted_on_create=True, **more)


def _picklist(name: str, label: str, values: tuple[str, ...], **more: Any) -> FieldSpec:
    kind = more.pop("type", "picklist")
    length = more.pop("length", 255)
    return FieldSpec(name=name, label=label, type=kind, length=length, picklist=values, **more)


_USER = ("User",)

_SYSTEM = (
    _stamp("CreatedDate", "Created Date", "datetime"),
    _stamp("CreatedById", "Created By ID", "reference", reference_to=_USER, relationship="CreatedBy"),
    _stamp("LastModifiedDate", "Last Modified Date", "datetime"),
    _stamp(
        "LastModifiedById",
        "Last Modified By ID",
        "reference",
        reference_to=_USER,
        relationship="LastModifiedBy",
    ),
    _stamp("SystemModstamp", "System Modstamp", "datetime"),
)
_IS_DELETED = _stamp("IsDeleted", "Deleted", "boolean", default=False)

_ADDRESS: dict[str, Any] = {"compound": "Address"}
_PRECISIONS = (
    "Address", "NearAddress", "Block", "Street", "ExtendedZip", "Zip", "Neighborhood", "City", "County", "State",
    "Unknown",
)  # fmt: skip
_CLEANED = {
    "Matched": "In Sync", "Different": "Different", "Acknowledged": "Reviewed", "NotFound": "Not Found",
    "Inactive": "Inactive", "Pending": "Not Compared", "SelectMatch": "Select Match", "Skipped": "Skipped",
}  # fmt: skip


def _converted_to(name: str) -> FieldSpec:
    label, relationship = f"Converted {name} ID", f"Converted{name}"
    return _system(f"{relationship}Id", label, "reference", reference_to=(name,), relationship=relationship)


def _lookup(name: str, label: str, to: str, relationship: str, **more: Any) -> FieldSpec:
    return _text(name, label, 18, type="reference", reference_to=(to,), relationship=relationship, **more)


STANDARD_LEAD_FIELDS: tuple[FieldSpec, ...] = (
    _system("Id", "Lead ID", "id", nillable=False, defaulted_on_create=True, id_lookup=True),
    _IS_DELETED,
    _system("MasterRecordId", "Master Record ID", "reference", reference_to=("Lead",), relationship="MasterRecord"),
    _text("LastName", "Last Name", 80, nillable=False, compound="Name"),
    _text("FirstName", "First Name", 40, compound="Name"),
    _picklist("Salutation", "Salutation", ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "Mx."), length=40, compound="Name"),
    _system("Name", "Full Name", "string", length=121, nillable=False),
    _text("Title", "Title", 128),
    _text("Company", "Company", 255, nillable=False),
    _text("Street", "Street", 255, type="textarea", **_ADDRESS),
    _text("City", "City", 40, **_ADDRESS),
    _text("State", "State/Province", 80, **_ADDRESS),
    _text("PostalCode", "Zip/Postal Code", 20, **_ADDRESS),
    _text("Country", "Country", 80, **_ADDRESS),
    FieldSpec(name="Latitude", label="Latitude", type="double", precision=18, scale=15, **_ADDRESS),
    FieldSpec(name="Longitude", label="Longitude", type="double", precision=18, scale=15, **_ADDRESS),
    _picklist("GeocodeAccuracy", "Geocode Accuracy", _PRECISIONS, length=40, restricted=True, **_ADDRESS),
    _system("Address", "Address", "address"),
    _text("Phone", "Phone", 40, type="phone"),
    _text("MobilePhone", "Mobile Phone", 40, type="phone"),
    _text("Fax", "Fax", 40, type="phone"),
    _text("Email", "Email", 80, type="email", id_lookup=True),
    _text("Website", "Website", 255, type="url"),
    _system("PhotoUrl", "Photo URL", "url", length=255),
    _text("Description", "Description", 32000, type="textarea"),
    _picklist("LeadSource", "Lead Source", _SOURCES),
    _picklist("Status", "Status", STATUSES, nillable=False, defaulted_on_create=True, default=STATUSES[0]),
    _picklist("Industry", "Industry", _INDUSTRIES),
    _picklist("Rating", "Rating", ("Hot", "Warm", "Cold")),
    FieldSpec(name="AnnualRevenue", label="Annual Revenue", type="currency", precision=18, scale=0),
    FieldSpec(name="NumberOfEmployees", label="Employees", type="int", digits=8),
    FieldSpec(
        name="OwnerId",
        label="Owner ID",
        type="reference",
        length=18,
        nillable=False,
        defaulted_on_create=True,
        reference_to=("Group", "User"),
        relationship="Owner",
    ),
    _flag("IsConverted", "Converted", updateable=False, always_visible=True),
    _system("ConvertedDate", "Converted Date", "date"),
    _converted_to("Account"),
    _converted_to("Contact"),
    _converted_to("Opportunity"),
    _flag("IsUnreadByOwner", "Unread By Owner", always_visible=True),
    *_SYSTEM,
    _system("LastActivityDate", "Last Activity", "date"),
    _system("LastViewedDate", "Last Viewed Date", "datetime"),
    _system("LastReferencedDate", "Last Referenced Date", "datetime"),
    _text("Jigsaw", "Data.com Key", 20),
    _system("JigsawContactId", "Jigsaw Contact ID", "string", length=20, relationship="JigsawContact"),
    _picklist(
        "CleanStatus", "Clean Status", tuple(_CLEANED), labels=tuple(_CLEANED.values()), length=40, restricted=True
    ),
    _text("CompanyDunsNumber", "Company D-U-N-S Number", 9),
    _lookup("DandbCompanyId", "D&B Company ID", "DandBCompany", "DandbCompany"),
    _system("EmailBouncedReason", "Email Bounced Reason", "string", length=255, updateable=True),
    _system("EmailBouncedDate", "Email Bounced Date", "datetime", updateable=True),
    _lookup("IndividualId", "Individual ID", "Individual", "Individual", always_visible=True),
    # Not recorded: in a new org no page layout has them, and field-level security hides them. Here an admin has shown
    # them, since opting out is what lead syncs are asked for most.
    _flag("HasOptedOutOfEmail", "Email Opt Out"),
    _flag("HasOptedOutOfFax", "Fax Opt Out"),
    _flag("DoNotCall", "Do Not Call"),
)

CUSTOM_LEAD_FIELDS: tuple[FieldSpec, ...] = (
    _text("External_Id__c", "External Id", 64, external_id=True, id_lookup=True, unique=True),
    _text("Legacy_Id__c", "Legacy Id", 36, external_id=True, id_lookup=True),
    _text("Case_Key__c", "Case Key", 64, external_id=True, id_lookup=True, unique=True, case_sensitive=True),
    FieldSpec(
        name="Number_Key__c",
        label="Number Key",
        type="double",
        precision=18,
        scale=0,
        external_id=True,
        id_lookup=True,
        unique=True,
    ),
    _picklist("Lead_Stage__c", "Lead Stage", ("Lead", "MQL", "SAL", "SQL")),
    FieldSpec(name="Lead_Score__c", label="Lead Score", type="double", precision=18, scale=2),
    FieldSpec(name="Score_Date__c", label="Score Date", type="datetime"),
    FieldSpec(name="Qualified_On__c", label="Qualified On", type="date"),
    _picklist("Segment__c", "Segment", ("Enterprise", "Mid-Market", "SMB"), restricted=True),
    _picklist(
        "Interests__c",
        "Interests",
        ("Product", "Pricing", "Training", "Support"),
        type="multipicklist",
        length=4099,
    ),
    _flag("Is_Trial__c", "Is Trial"),
    FieldSpec(name="Budget__c", label="Budget", type="currency", precision=16, scale=2),
    FieldSpec(name="Employees_Exact__c", label="Employees Exact", type="double", precision=18, scale=0),
    _text("Lead_Source_Detail__c", "Lead Source Detail", 255),
    _text("Partner_Url__c", "Partner Url", 255, type="url"),
)

CONTACT_FIELDS: tuple[FieldSpec, ...] = (
    _system("Id", "Contact ID", "id", nillable=False),
    _text("LastName", "Last Name", 80, nillable=False),
    _text("FirstName", "First Name", 40),
    _system("Name", "Full Name", "string", length=121),
    _text("Email", "Email", 80, type="email", id_lookup=True),
    _text("External_Id__c", "External Id", 64, external_id=True, id_lookup=True, unique=True),
    _system("AccountId", "Account ID", "reference", reference_to=("Account",)),
    _IS_DELETED,
    *_SYSTEM,
)

_NAMED = (_system("Id", "ID", "id"), _text("Name", "Name", 121))

SETUP_OBJECTS: dict[str, tuple[FieldSpec, ...]] = {
    "User": (
        *_NAMED,
        _text("Username", "Username", 80),
        _text("Email", "Email", 128, type="email"),
        _flag("IsActive", "Active"),
    ),
    "Group": (*_NAMED, _text("Type", "Type", 40), _text("DeveloperName", "Developer Name", 80)),
    "AssignmentRule": (
        *_NAMED,
        _text("SobjectType", "SObject Type", 40),
        _flag("Active", "Active"),
    ),
    "Organization": (*_NAMED, _text("OrganizationType", "Edition", 40), _flag("IsSandbox", "Is Sandbox")),
}


def lead_schema(*, extra: Iterable[FieldSpec] = ()) -> ObjectSchema:
    """Lead with the extra fields, which replace those of the same name."""
    specs = {spec.name: spec for spec in (*STANDARD_LEAD_FIELDS, *CUSTOM_LEAD_FIELDS, *extra)}
    return ObjectSchema("Lead", specs.values())
