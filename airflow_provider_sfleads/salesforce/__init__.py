"""Salesforce's protocol, without Airflow."""
