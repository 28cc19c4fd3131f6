"""Every parameter of an operator can be a template."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import pytest

from airflow_provider_sfleads.operators.base import LeadSyncOperator
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator

FEW: dict[str, Any] = {"export": "e", "key": "k", "results_path": "r", "lead_id": "id", "fields": {"a": "City"}}


@pytest.mark.parametrize("operator", [SalesforceCreateLeadsOperator, SalesforceUpdateLeadStageOperator])
def test_each_parameter_is_a_template_field_once(operator: type[LeadSyncOperator]) -> None:
    """Own ones and those of both, and the operator has an attribute of each name, or Airflow could not render it."""
    own, common = (
        {name for name, each in signature(init).parameters.items() if each.kind is Parameter.KEYWORD_ONLY}
        for init in (operator.__init__, LeadSyncOperator.__init__)
    )
    assert set(operator.template_fields) == own | common
    assert len(operator.template_fields) == len(set(operator.template_fields)) > len(common) > 20
    needed = set(operator.template_fields) & FEW.keys()
    made = operator(task_id="t", **{name: FEW[name] for name in needed})
    assert all(name in vars(made) for name in operator.template_fields)
