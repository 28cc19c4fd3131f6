"""The people, queues and rules of the emulated org."""

from __future__ import annotations

from typing import Any

from airflow_provider_sfleads.emulator import ids

RUN_AS_USERNAME = "leads.integration@example.invalid"

SETUP_ROWS: dict[str, list[dict[str, Any]]] = {
    "User": [
        {
            "Id": ids.RUN_AS_USER_ID,
            "Name": "Leads Integration",
            "Username": RUN_AS_USERNAME,
            "Email": RUN_AS_USERNAME,
            "IsActive": 1,
        },
        {
            "Id": ids.SALES_USER_ID,
            "Name": "Sam Sales",
            "Username": "sam.sales@example.invalid",
            "Email": "sam.sales@example.invalid",
            "IsActive": 1,
        },
        {
            "Id": ids.INACTIVE_USER_ID,
            "Name": "Lena Left",
            "Username": "lena.left@example.invalid",
            "Email": "lena.left@example.invalid",
            "IsActive": 0,
        },
    ],
    "Group": [
        {"Id": ids.QUEUE_ID, "Name": "Inbound Leads", "Type": "Queue", "DeveloperName": "Inbound_Leads"},
        {
            "Id": ids.SECOND_QUEUE_ID,
            "Name": "Partner Leads",
            "Type": "Queue",
            "DeveloperName": "Partner_Leads",
        },
    ],
    "AssignmentRule": [
        {"Id": ids.ACTIVE_RULE_ID, "Name": "Standard routing", "SobjectType": "Lead", "Active": 1},
        {"Id": ids.INACTIVE_RULE_ID, "Name": "Partner routing", "SobjectType": "Lead", "Active": 0},
    ],
    "Organization": [
        {"Id": ids.ORG_ID, "Name": "Emulated Org", "OrganizationType": "Enterprise Edition", "IsSandbox": 1}
    ],
}

# Which queue a rule hands a lead to.
QUEUE_OF_RULE = {ids.ACTIVE_RULE_ID: ids.QUEUE_ID, ids.INACTIVE_RULE_ID: ids.SECOND_QUEUE_ID}
OWNERS = frozenset(row["Id"] for name in ("User", "Group") for row in SETUP_ROWS[name] if row.get("IsActive", 1))
INACTIVE_OWNERS = frozenset({ids.INACTIVE_USER_ID})
