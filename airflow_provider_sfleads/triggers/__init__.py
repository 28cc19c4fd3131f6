"""Triggers: what waits for Salesforce while no worker does."""
