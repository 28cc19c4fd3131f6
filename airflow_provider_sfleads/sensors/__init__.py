"""Sensors: tasks that wait for Salesforce."""
